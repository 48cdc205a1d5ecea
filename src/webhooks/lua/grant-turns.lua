-- Gives turns to lines that are due: whoever has one may send what stands first in the line, and nobody else, until the
--   turn ends by itself.
-- Arguments: how many at most, milliseconds that a turn lasts
-- Answers: webhook line fence, of each in turn
-- Sent again: yes; what the first answer gave is due again when its turn has ended

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/plan-webhook.lua"

local left, now = tonumber(ARGV[1]), nowMs()
local untilMs, granted = now + tonumber(ARGV[2]), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', root .. ':webhooks-due', '-inf', now, 'LIMIT', 0, left)) do
  local turns, lines = key('webhook-turns', id), key('webhook-lines', id)
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', now)
  local free = math.min(TURNS - redis.call('ZCARD', turns), left)
  if free > 0 then
    for _, line in ipairs(redis.call('ZRANGEBYSCORE', lines, '-inf', now, 'LIMIT', 0, free)) do
      local fence = redis.call('INCR', root .. ':webhook-fence')
      redis.call('HSET', key('webhook-fences', id), line, fence)
      redis.call('ZADD', turns, untilMs, line)
      redis.call('ZADD', lines, untilMs, line)
      granted[#granted + 1] = id
      granted[#granted + 1] = line
      granted[#granted + 1] = tostring(fence)
      left = left - 1
    end
  end
  planWebhook(id)
end
return granted
