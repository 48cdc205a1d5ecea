-- The end of an execution whose holder died: only when its lease is over.
-- Arguments: JSON: id, and those of include/conclude.lua; receipt, log
-- Answers: as conclude | alive
-- Sent again: yes; a second conclusion is refused

--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/conclude.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/is-active.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
if not isActive(get(id, 'state')) then return {'refused', get(id, 'state') or 'missing'} end
if hasLease(id) then return {'alive'} end
takeFence(id)
return conclude(id, args, ARGV[2], ARGV[3])
