-- The end of an execution, by the holder of the fence.
-- Arguments: id, fence, then as conclude.lua: status, fields JSON, event, retention ms, cause, finished seq, key id, JWK
-- Answers: concluded from list woken… | refused state | stale | moved
-- Sent again: yes; a second conclusion is stale, as nobody holds the fence any more

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "./include/conclude.lua"

if not holdsFence(ARGV[1], ARGV[2]) then return {'stale'} end
return conclude(ARGV[1], unpack(ARGV, 3))
