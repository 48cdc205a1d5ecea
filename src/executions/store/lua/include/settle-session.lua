-- An execution ends: its session and folders are kept as long as its record.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "./expire-folders.lua"
--- @include "./get.lua"
--- @include "./hosts-of.lua"

local function settleSession(id, retentionMs)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if session then redis.call('PEXPIRE', key('session', session), retentionMs) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), nowMs() + tonumber(retentionMs), id)
    expireFolders(host)
  end
end
