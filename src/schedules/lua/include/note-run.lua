-- An execution of a schedule was accepted: it is its last one, and open until it is seen to have ended.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"

local function noteRun(id, execution)
  -- It was removed meanwhile.
  if redis.call('EXISTS', key('schedule', id)) == 0 then return end
  redis.call('SADD', key('schedule-open', id), execution)
  redis.call('HSET', key('schedule', id), 'lastRunAt', nowMs(), 'lastExecutionId', execution, 'lastStatus', 'queued')
end
