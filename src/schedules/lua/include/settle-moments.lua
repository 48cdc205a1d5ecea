-- Moments are settled: they will start nothing more.
-- step: {id, to (up to which all are settled), next?, moments (JSON of each), stopped? (why it is stopped for good)}

--- @include "../../../platform/lua/include/key.lua"
--- @include "./note-moments.lua"
--- @include "./plan-next.lua"

local function settleMoments(step)
  local schedule = key('schedule', step.id)
  redis.call('HSET', schedule, 'after', step.to)
  redis.call('HDEL', schedule, 'triedAt')
  noteMoments(step.id, step.moments)
  if step.stopped then redis.call('HSET', schedule, 'enabled', '0', 'stopped', step.stopped) end
  planNext(step.id, step.next)
end
