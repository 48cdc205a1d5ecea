-- An execution that waits for its next attempt, or is parked, keeps its workspace: nobody else works in what it left
--   half done.

--- @include "./get.lua"
--- @include "./is-active.lua"
--- @include "./is-ended.lua"
--- @include "./is-resting.lua"

local function holdsWorkspace(id)
  local state = get(id, 'state')
  if get(id, 'kind') == 'task_list' then return not isEnded(state) end
  return isActive(state) or isResting(state) or (state == 'queued' and tonumber(get(id, 'attempt')) > 0)
end
