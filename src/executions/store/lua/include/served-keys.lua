-- Where is kept, by priority, when each owner was served last, and how far the turns have come.

--- @include "../../../../platform/lua/include/key.lua"

local function servedOf(band) return key('served', band) end
local function clockOf(band) return key('turn-clock', band) end
