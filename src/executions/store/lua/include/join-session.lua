-- A new record takes over session and folders; of a session that is forked it waits for its own start.
-- wanted: {reference, fork, workspace?, workspaceRoot, sharedWorkspaces} → nil | {why not, by whom or where}

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./enter-session.lua"
--- @include "./find-session.lua"
--- @include "./get.lua"
--- @include "./hosts-of.lua"
--- @include "./is-fresh.lua"
--- @include "./own-workspace.lua"
--- @include "./set.lua"

-- As fromWorkspaceRoot of workspace-name.ts.
local function nameBelow(folder, name)
  local start = folder .. '/'
  if string.sub(name, 1, #start) ~= start then return name end
  local below = string.sub(name, #start + 1)
  return isFresh(string.match(below, '^[^/]*')) and name or below
end

local function joinSession(id, owner, wanted, simulated)
  local session, latest, by = findSession(owner, wanted.reference)
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
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), 0, id)
    redis.call('PERSIST', key('folders', host))
  end
  if wanted.fork then
    set(id, 'fork', '1')
    redis.call('SADD', key('forks', session), id)
  else
    set(id, 'sessionId', session)
    enterSession(id, session)
  end
end
