-- The key of an approval.

--- @include "../../../../platform/lua/include/key.lua"

local function approval(id) return key('approval', id) end
