-- A queued record whose job was lost gets a new claim.
-- Arguments: id, claim as it was seen
-- Answers: claim | '' where it has moved on
-- Sent again: yes; the second time it has moved on, and the sweep looks again

--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/get.lua"
--- @include "./include/record.lua"

exceedMemory()
local id = ARGV[1]
if get(id, 'state') ~= 'queued' or get(id, 'claim') ~= ARGV[2] then return '' end
return redis.call('HINCRBY', record(id), 'claim', 1)
