-- The limit of an owner was raised or removed: as many of those that wait as may begin now are queued again.
-- Arguments: owner, how many at most
-- Answers: ready…
-- Sent again: yes; of two jobs of one execution the second counts for nobody

--- @include "./include/call-next.lua"
--- @include "./include/limit-of.lua"
--- @include "./include/may-run.lua"

local owner, most = ARGV[1], tonumber(ARGV[2])
if not mayRun(owner) then return {} end
local limit, count = limitOf(owner)
return callNext(owner, limit and math.min(most, limit - count) or most)
