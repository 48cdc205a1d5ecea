-- Whether a token that the API made has been removed. One that has only expired may be given more time.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./is-made.lua"

local function isGone(id) return isMade(id) and redis.call('EXISTS', key('token', id)) == 0 end
