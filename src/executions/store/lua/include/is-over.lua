-- Nothing follows: neither queued, nor held by a worker, nor parked.

--- @include "./get.lua"
--- @include "./is-ended.lua"

local function isOver(id)
  local state = get(id, 'state')
  return not state or isEnded(state)
end
