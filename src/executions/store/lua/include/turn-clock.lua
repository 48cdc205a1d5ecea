-- How far the turns of a priority have come: the highest tag that was served.

--- @include "../../../../platform/lua/include/root.lua"

local function turnClock(band) return tonumber(redis.call('HGET', root .. ':turn-clock', band) or '0') end
