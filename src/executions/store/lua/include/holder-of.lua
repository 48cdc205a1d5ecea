-- Who has the workspace in which an execution works: a task's list has it from the claim of its first task to its own
--   end.

--- @include "./get.lua"

local function holderOf(id) return get(id, 'parentId') or id end
