-- The bytes that are kept of an execution.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./record.lua"

local function sizeOf(id)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  for _, field in ipairs({'request', 'result', 'resultJson', 'receipt'}) do
    bytes = bytes + redis.call('HSTRLEN', record(id), field)
  end
  bytes = bytes + tonumber(redis.call('HGET', key('files', id), 'bytes') or '0')
  return bytes + tonumber(redis.call('HGET', record(id), 'approvalBytes') or '0')
end
