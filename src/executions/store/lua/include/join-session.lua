-- A new record takes over session and folders; of a session that is forked it waits for its own start.
-- wanted: {reference, fork, workspace?, workspaceRoot, sharedWorkspaces, follows?} → nil | {why not, by whom or where}

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./enter-session.lua"
--- @include "./find-session.lua"
--- @include "./find-tail.lua"
--- @include "./get.lua"
--- @include "./is-fresh.lua"
--- @include "./is-over.lua"
--- @include "./need-folders.lua"
--- @include "./own-workspace.lua"
--- @include "./set.lua"
--- @include "./wait-for.lua"

-- As fromWorkspaceRoot of workspace-name.ts.
local function nameBelow(folder, name)
  local start = folder .. '/'
  if string.sub(name, 1, #start) ~= start then return name end
  local below = string.sub(name, #start + 1)
  return isFresh(string.match(below, '^[^/]*')) and name or below
end

-- A fork begins as a copy of what its caller saw.
local function isForked(id)
  local session = get(id, 'sessionId')
  return session and redis.call('EXISTS', key('forks', session)) == 1
end

local function joinSession(id, owner, wanted, simulated)
  local tail = wanted.follows and findTail(wanted.reference)
  if tail and (not isOver(tail) or isForked(tail)) then
    if get(tail, 'simulated') ~= simulated then return {'other_model', simulated} end
    waitFor(id, tail)
    return nil
  end
  local session, latest, by = findSession(owner, tail or wanted.reference)
  if not session then return {latest, by} end
  if get(latest, 'simulated') ~= simulated then return {'other_model', simulated} end
  local fork = not wanted.fork and redis.call('SRANDMEMBER', key('forks', session))
  if fork then return {'busy', fork} end
  local name = nameBelow(wanted.workspaceRoot, get(latest, 'workspace'))
  if wanted.workspace and wanted.workspace ~= name then return {'elsewhere', name} end
  if isOwnedByOther(owner, name, wanted.sharedWorkspaces) then return {'not_owned', name} end
  ownWorkspace(owner, name, wanted.sharedWorkspaces)
  local home = get(latest, 'home') or latest
  set(id, 'resumedFrom', latest, 'sourceSession', session, 'home', home)
  set(id, 'workspace', name, 'workspaceLock', name)
  needFolders(id)
  if wanted.fork then
    set(id, 'fork', '1')
    redis.call('SADD', key('forks', session), id)
  else
    set(id, 'sessionId', session)
    enterSession(id, session)
  end
end
