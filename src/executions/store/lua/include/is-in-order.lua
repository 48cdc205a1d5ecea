-- Whether what waits in a priority starts in the order of its scores: there is one owner, and nobody has a limit.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./turn-keys.lua"

local function isInOrder(band)
  return redis.call('EXISTS', root .. ':owner-limits') == 0 and redis.call('ZCARD', turnsOf(band)) <= 1
end
