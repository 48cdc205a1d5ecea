-- Whether nobody holds an execution, which waits or is parked, as it was seen.
-- seen: {state?, claim? (it has not gone on since)}

--- @include "./get.lua"
--- @include "./is-resting.lua"

local function isUnheld(id, seen)
  local state = get(id, 'state')
  if state ~= (seen.state or 'queued') or not (state == 'queued' or isResting(state)) then return false end
  return not seen.claim or get(id, 'claim') == seen.claim
end
