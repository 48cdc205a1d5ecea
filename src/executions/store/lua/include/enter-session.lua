-- An execution joins a session, which is kept.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"

local function enterSession(id, session)
  redis.call('ZADD', key('session', session), nowMs(), id)
  redis.call('PERSIST', key('session', session))
end
