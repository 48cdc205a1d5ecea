-- The last one of those that have or wait for the session of an execution: follow-ups stand in a chain behind it. One
--   that ended without a session is passed over; those whose turn never comes are nobody to wait for.

--- @include "./get.lua"
--- @include "./is-orphan.lua"
--- @include "./is-over.lua"
--- @include "./latest-of.lua"

local function findTail(id)
  local session = get(id, 'sessionId')
  local tail = session and latestOf(session) or id
  local next = get(tail, 'next')
  while next and get(next, 'state') and not isOrphan(next) do
    if not isOver(next) or get(next, 'sessionId') then tail = next end
    next = get(next, 'next')
  end
  return tail
end
