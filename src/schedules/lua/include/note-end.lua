-- An execution of a schedule has ended: how, is kept when its record is gone.

--- @include "../../../platform/lua/include/key.lua"

local function noteEnd(id, execution, status)
  redis.call('SREM', key('schedule-open', id), execution)
  if redis.call('HGET', key('schedule', id), 'lastExecutionId') == execution then
    redis.call('HSET', key('schedule', id), 'lastStatus', status)
  end
end
