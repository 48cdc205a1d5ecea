-- The end of an execution that nobody has claimed. The cause is the event before the last.
-- Arguments (JSON): id, and those of include/conclude.lua
-- Answers: as conclude
-- Sent again: yes; a second conclusion is refused

--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/conclude.lua"
--- @include "./include/get.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
local state = get(id, 'state')
if state ~= 'queued' then return {'refused', state or 'missing'} end
takeFence(id)
return conclude(id, args)
