-- Accepted messages that the log does not have yet get into it, in their order. Only where nobody holds the fence, or
--   for who does: a writer numbers its events itself.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./write-next.lua"

local function noteMessages(id)
  local messages = key('messages', id)
  local noted, count = unpack(redis.call('HMGET', messages, 'noted', 'count'))
  if noted == count then return end
  for number = tonumber(noted or '0') + 1, tonumber(count) do
    local event = redis.call('HGET', messages, 'event:' .. number)
    if event then writeNext(id, event) end
    redis.call('HDEL', messages, 'event:' .. number)
  end
  redis.call('HSET', messages, 'noted', count)
end
