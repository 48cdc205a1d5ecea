-- The tasks of a task list, as far as they exist.

--- @include "../../../../platform/lua/include/key.lua"

local function taskIds(list)
  local ids = {}
  for index, listed in ipairs(redis.call('HVALS', key('tasks', list))) do ids[index] = string.match(listed, '^%S+') end
  return ids
end
