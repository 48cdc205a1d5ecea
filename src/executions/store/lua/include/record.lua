-- The key of a record.

--- @include "../../../../platform/lua/include/key.lua"

local function record(id) return key('execution', id) end
