-- What is to be sent with a turn: the first of its line that is not over, with its webhook; the turn begins anew.
-- Arguments: webhook, line, fence, milliseconds that the turn lasts
-- Answers: send delivery now (ms) fields-of-the-webhook fields-of-the-delivery | stale (another turn has begun) |
--   empty (nothing is left to send)
-- Sent again: yes

--- @include "../../platform/lua/include/exceed-memory.lua"
--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "./include/end-delivery.lua"
--- @include "./include/end-turn.lua"

-- In one step; what is left comes with the next turn.
local SOME = 100

exceedMemory()
local id, line, fence, now = ARGV[1], ARGV[2], ARGV[3], nowMs()
local webhook, waiting = key('webhook', id), key('webhook-line', ARGV[1] .. ':' .. ARGV[2])
if redis.call('HGET', key('webhook-fences', id), line) ~= fence then return {'stale'} end
local enabled, disabledAt = unpack(redis.call('HMGET', webhook, 'enabled', 'disabledAt'))
for _ = 1, SOME do
  local delivery = redis.call('LINDEX', waiting, 0)
  if not delivery then break end
  local status, askedAt = unpack(redis.call('HMGET', key('delivery', delivery), 'status', 'askedAt'))
  local isOver = not enabled or status ~= 'pending'
  if not isOver and enabled == '0' and tonumber(askedAt) <= tonumber(disabledAt or 0) then
    endDelivery(id, delivery, 'failed', now)
    isOver = true
  end
  if not isOver then
    local untilMs = now + tonumber(ARGV[4])
    redis.call('ZADD', key('webhook-turns', id), untilMs, line)
    redis.call('ZADD', key('webhook-lines', id), untilMs, line)
    return {'send', delivery, now, redis.call('HGETALL', webhook), redis.call('HGETALL', key('delivery', delivery))}
  end
  redis.call('LPOP', waiting)
end
endTurn(id, line, now)
return {'empty'}
