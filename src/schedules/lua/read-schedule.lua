-- A schedule with what became of its last moments, as they belong together.
-- Arguments: id
-- Answers: its fields (name, value, …; none where there is no such schedule), moments (JSON of each, newest first)
-- Sent again: yes

--- @include "../../platform/lua/include/key.lua"

local id = ARGV[1]
return {redis.call('HGETALL', key('schedule', id)), redis.call('LRANGE', key('schedule-moments', id), 0, -1)}
