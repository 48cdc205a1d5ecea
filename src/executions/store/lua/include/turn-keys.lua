-- Where the turns of owners are kept, by priority (0 is the highest): those who have somebody waiting, by their tag;
--   what they have waiting, in its order; and their tag when they were served last.

--- @include "../../../../platform/lua/include/key.lua"

local function turnsOf(band) return key('turns', band) end
local function lineOf(band, owner) return key('line', band .. ':' .. owner) end
local function servedOf(band) return key('served', band) end
local function clockOf(band) return key('turn-clock', band) end
