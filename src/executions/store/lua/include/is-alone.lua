-- Whether nobody else takes turns in this priority, so that the place among all that wait is the position.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./turn-keys.lua"

local function isAlone(band)
  return redis.call('EXISTS', root .. ':owner-limits') == 0 and redis.call('ZCARD', turnsOf(band)) <= 1
end
