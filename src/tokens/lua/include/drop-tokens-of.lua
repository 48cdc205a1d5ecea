-- Removes the tokens of an execution, which goes too.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./drop-token.lua"

local function dropTokensOf(execution)
  for _, id in ipairs(redis.call('SMEMBERS', key('tokens-of', execution))) do dropToken(id) end
end
