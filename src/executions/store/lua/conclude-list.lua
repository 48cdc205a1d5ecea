-- The end of a task list: only where no other task follows, and nobody else holds it.
-- Arguments: JSON: id, fence ('' where nobody holds the list), and those of include/conclude.lua; receipt, log
-- Answers: as conclude | alive
-- Sent again: yes; a second conclusion is refused

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/conclude.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local list = args.id
if not get(list, 'over') then return {'refused', get(list, 'state') or 'missing'} end
if hasLease(list) and not holdsFence(list, args.fence) then return {'alive'} end
local answer = conclude(list, args, ARGV[2], ARGV[3])
if answer[1] ~= 'concluded' then return answer end
redis.call('ZREM', root .. ':unsettled', list)
return answer
