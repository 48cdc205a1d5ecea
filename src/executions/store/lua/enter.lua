-- running ⇄ paused, by the holder of the fence; of one that has not started it is stale.
-- Arguments: id, fence, state
-- Answers: ok | stale
-- Sent again: yes; a second time changes nothing

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"

exceedMemory()
local id, fence, to = ARGV[1], ARGV[2], ARGV[3]
local state = get(id, 'state')
if not holdsFence(id, fence) or (state ~= 'running' and state ~= 'paused') then return 'stale' end
enter(id, to)
return 'ok'
