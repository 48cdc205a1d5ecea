-- The end of an execution that nobody holds, as it waits or is parked. The cause is the event before the last.
-- Arguments: JSON: id, state (as it was seen), claim? (as it was seen: it has not gone on since), and those of
--   include/conclude.lua; receipt, log
-- Answers: as conclude
-- Sent again: yes; a second conclusion is refused

--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/conclude.lua"
--- @include "./include/get.lua"
--- @include "./include/is-unheld.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
if not isUnheld(id, args) then return {'refused', get(id, 'state') or 'missing'} end
takeFence(id)
return conclude(id, args, ARGV[2], ARGV[3])
