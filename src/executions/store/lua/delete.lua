-- Forgets a finished execution, with its tasks and its Idempotency-Key.
-- Arguments: id, owner
-- Answers: deleted claim | refused state
-- Sent again: yes; the second time it is refused as missing

--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/forget.lua"
--- @include "./include/get.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/reservation-of.lua"

exceedMemory()
local id, owner = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if not isEnded(state) then return {'refused', state} end
local claim, reservation = get(id, 'claim'), reservationOf(id)
if reservation then redis.call('DEL', reservation) end
forget(id, owner)
return {'deleted', claim}
