-- Removes a schedule. Executions that it has started go on.
-- Arguments: id
-- Answers: 1 | 0 where there is no such schedule (any more)
-- Sent again: yes; the second time it is not there

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/plan-next.lua"

local id = ARGV[1]
local owner, name = unpack(redis.call('HMGET', key('schedule', id), 'owner', 'name'))
if not owner then return 0 end
planNext(id, nil)
for _, kind in ipairs({'schedule', 'schedule-moments', 'schedule-open'}) do redis.call('DEL', key(kind, id)) end
redis.call('HDEL', key('schedule-names', owner), name)
redis.call('ZREM', root .. ':schedules', id)
redis.call('ZREM', key('schedules', owner), id)
return 1
