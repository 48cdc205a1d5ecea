-- The CLI is let go: its session exists from now on. before: the session of the attempt before this one.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./enter-session.lua"
--- @include "./get.lua"

local function beginSession(id, before)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if before == session then return end
  if before then redis.call('ZREM', key('session', before), id) end
  enterSession(id, session)
end
