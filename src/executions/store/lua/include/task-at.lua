-- A task of a list as it is listed (listed-task.ts).

--- @include "../../../../platform/lua/include/key.lua"

local function taskAt(list, index) return redis.call('HGET', key('tasks', list), index) end
