-- running ⇄ paused, by the holder of the fence.
-- Arguments: id, fence, state
-- Answers: ok | stale
-- Sent again: yes; a second time changes nothing

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "./include/enter.lua"

if not holdsFence(ARGV[1], ARGV[2]) then return 'stale' end
enter(ARGV[1], ARGV[3])
return 'ok'
