-- A record is removed: its session and its folders no longer know it.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./expire-folders.lua"
--- @include "./get.lua"
--- @include "./hosts-of.lua"

local function leaveSession(id)
  local session = get(id, 'sessionId')
  if session then redis.call('ZREM', key('session', session), id) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZREM', key('folders', host), id)
    expireFolders(host)
  end
end
