-- A follow-up waits outside the queue for the end of the one before it in its session.

--- @include "./get.lua"
--- @include "./need-folders.lua"
--- @include "./set.lua"

local function waitFor(id, tail)
  local workspace = get(tail, 'workspace')
  set(id, 'follows', tail, 'waitingFor', 'session', 'home', get(tail, 'home') or tail)
  set(id, 'workspace', workspace, 'workspaceLock', workspace)
  set(tail, 'next', id)
  needFolders(id)
end
