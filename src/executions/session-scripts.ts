/**
 * Executions that go on with the conversation of an earlier one, as Lua functions of every script.
 * A session has one execution at a time; who joins it is decided in the same step that stores the record.
 *
 *   session:<session id>  zset  its executions by the time when they joined it (ms); the last one is meant by its id
 *   forks:<session id>    set   executions that will begin as a copy of it and have not begun: until then it must not go on
 *   folders:<id>          zset  further executions that use the folders of this one: 0, and once they have ended the time when they are forgotten (ms)
 *
 * The first lives as long as the last record of the session, the third as long as the last one that uses the folders.
 */
export const SESSIONS_LUA = `
local function isOver(id)
  local state = get(id, 'state')
  return state ~= 'queued' and not isActive(state)
end

local function enterSession(id, session)
  redis.call('ZADD', key('session', session), nowMs(), id)
  redis.call('PERSIST', key('session', session))
end

local function latestOf(session)
  for _, id in ipairs(redis.call('ZREVRANGE', key('session', session), 0, -1)) do
    if get(id, 'state') then return id end
    redis.call('ZREM', key('session', session), id)
  end
end

-- What an id of an execution or of a session leads to. → session, its latest execution | nil, why not, by whom
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
  return session, latest
end

-- Whose folders one uses that joined a conversation: HOME is that of the first execution; its workspace, where that is a fresh one, may be its task list's.
local function hostsOf(id)
  local home, workspace = get(id, 'home'), get(id, 'workspace')
  if not home then return {} end
  local isFresh = workspace ~= home and string.match(workspace, '^%x+%-%x+%-%x+%-%x+%-%x+$')
  return {home, isFresh and workspace or nil}
end

-- A new record takes over session and folders; of a session that is forked it waits for its own start. → nil | {why not, by whom or where}
local function joinSession(id, owner, reference, isFork, workspace, simulated)
  local session, latest, by = findSession(owner, reference)
  if not session then return {latest, by} end
  if get(latest, 'simulated') ~= simulated then return {'other_model', simulated} end
  local fork = not isFork and redis.call('SRANDMEMBER', key('forks', session))
  if fork then return {'busy', fork} end
  local name = get(latest, 'workspace')
  if workspace ~= '' and workspace ~= name then return {'elsewhere', name} end
  local home = get(latest, 'home') or latest
  set(id, 'resumedFrom', latest, 'sourceSession', session, 'home', home, 'workspace', name, 'workspaceLock', get(latest, 'workspaceLock') or name)
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), 0, id)
    redis.call('PERSIST', key('folders', host))
  end
  if isFork then
    set(id, 'fork', '1')
    redis.call('SADD', key('forks', session), id)
  else
    set(id, 'sessionId', session)
    enterSession(id, session)
  end
end

-- The CLI is let go: its session exists from now on. before: the session of the attempt before this one.
local function beginSession(id, before)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if before == session then return end
  if before then redis.call('ZREM', key('session', before), id) end
  enterSession(id, session)
end

-- Folders are needed until the last one that uses them is forgotten.
local function expireFolders(host)
  local folders = key('folders', host)
  if redis.call('ZCOUNT', folders, 0, 0) > 0 then return end
  local last = redis.call('ZRANGE', folders, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', folders, math.ceil(tonumber(last[2]))) end
end

local function settleSession(id, retentionMs)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if session then redis.call('PEXPIRE', key('session', session), retentionMs) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), nowMs() + tonumber(retentionMs), id)
    expireFolders(host)
  end
end

local function leaveSession(id)
  local session = get(id, 'sessionId')
  if session then redis.call('ZREM', key('session', session), id) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZREM', key('folders', host), id)
    expireFolders(host)
  end
end
`
