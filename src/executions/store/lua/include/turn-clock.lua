-- How far the turns of a priority have come: the highest tag that was served.

--- @include "./served-keys.lua"

local function turnClock(band) return tonumber(redis.call('GET', clockOf(band)) or '0') end
