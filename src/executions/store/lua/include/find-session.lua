-- What an id of an execution or of a session leads to. → session, its latest execution | nil, why not, by whom

--- @include "./find-tail.lua"
--- @include "./get.lua"
--- @include "./is-over.lua"
--- @include "./latest-of.lua"

local function findSession(owner, reference)
  local session = reference
  if get(reference, 'state') then
    if get(reference, 'owner') ~= owner then return nil, 'unknown', '' end
    session = get(reference, 'sessionId')
    if not session then
      if get(reference, 'kind') == 'task_list' then return nil, 'list', reference end
      return nil, isOver(reference) and 'unstarted' or 'busy', reference
    end
  end
  local latest = latestOf(session)
  if not latest or get(latest, 'owner') ~= owner then return nil, 'unknown', '' end
  if not isOver(latest) then return nil, 'busy', latest end
  local tail = findTail(latest)
  if not isOver(tail) then return nil, 'busy', tail end
  return session, latest
end
