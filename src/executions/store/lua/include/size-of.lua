-- The bytes that are kept of an execution.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./record.lua"

local function sizeOf(id)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  for _, field in ipairs({'request', 'result', 'resultJson', 'receipt'}) do
    bytes = bytes + redis.call('HSTRLEN', record(id), field)
  end
  for _, kind in ipairs({'files', 'messages'}) do
    bytes = bytes + tonumber(redis.call('HGET', key(kind, id), 'bytes') or '0')
  end
  return bytes + tonumber(redis.call('HGET', record(id), 'approvalBytes') or '0')
end
