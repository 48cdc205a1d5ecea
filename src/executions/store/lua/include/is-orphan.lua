-- A follow-up whose turn never comes: the one before it was cancelled, has no session, or is gone.

--- @include "./get.lua"
--- @include "./is-over.lua"

local function isOrphan(id)
  local before = get(id, 'follows')
  if not before or get(id, 'state') ~= 'queued' or not isOver(before) then return false end
  return not get(before, 'sessionId') or get(before, 'state') == 'cancelled'
end
