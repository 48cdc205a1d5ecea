-- Neither queued nor held by a worker.

--- @include "./get.lua"
--- @include "./is-active.lua"

local function isOver(id)
  local state = get(id, 'state')
  return state ~= 'queued' and not isActive(state)
end
