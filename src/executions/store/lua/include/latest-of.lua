-- The latest execution of a session whose record exists.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./get.lua"

local function latestOf(session)
  for _, id in ipairs(redis.call('ZREVRANGE', key('session', session), 0, -1)) do
    if get(id, 'state') then return id end
    redis.call('ZREM', key('session', session), id)
  end
end
