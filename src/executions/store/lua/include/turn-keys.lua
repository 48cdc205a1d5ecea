-- Where the turns of owners are kept, by priority (0 is the highest): those who have somebody waiting, by their tag;
--   and what they have waiting, in its order.

--- @include "../../../../platform/lua/include/key.lua"

local function turnsOf(band) return key('turns', band) end
local function lineOf(band, owner) return key('line', band .. ':' .. owner) end
