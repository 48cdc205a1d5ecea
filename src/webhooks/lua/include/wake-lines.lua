-- Lines that wait for their next attempt are due now, some at a time. Answers: whether these were all.

--- @include "../../../platform/lua/include/key.lua"

local SOME = 1000

local function wakeLines(webhookId, now)
  local lines = key('webhook-lines', webhookId)
  local later = redis.call('ZRANGEBYSCORE', lines, '(' .. now, '+inf', 'LIMIT', 0, SOME)
  for _, line in ipairs(later) do
    if not redis.call('ZSCORE', key('webhook-turns', webhookId), line) then redis.call('ZADD', lines, now, line) end
  end
  return #later < SOME
end
