-- The end of an execution, by the holder of the fence.
-- Arguments: JSON: id, fence, and those of include/conclude.lua; receipt, log
-- Answers: concluded from list orphan ready… | refused state | stale | moved
-- Sent again: yes; a second conclusion is stale, as nobody holds the fence any more

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/conclude.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
if not holdsFence(args.id, args.fence) then return {'stale'} end
return conclude(args.id, args, ARGV[2], ARGV[3])
