-- When the next moment is, for whoever looks for moments whose alarm was lost. at: nil where none follows.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local function planNext(id, at)
  if at then
    redis.call('HSET', key('schedule', id), 'nextAt', at)
    redis.call('ZADD', root .. ':schedules-due', at, id)
  else
    redis.call('HDEL', key('schedule', id), 'nextAt')
    redis.call('ZREM', root .. ':schedules-due', id)
  end
end
