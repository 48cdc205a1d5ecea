-- An owner of which nothing is kept any more is looked at no longer. The limit of a token that is gone goes with it.
-- Arguments: owner
-- Answers: 1 | 0 where there is something of it
-- Sent again: yes

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "../../../tokens/lua/include/is-withdrawn.lua"
--- @include "../../../tokens/lua/include/limit-owner.lua"

local owner = ARGV[1]
if redis.call('EXISTS', key('index', owner)) == 1 then return 0 end
redis.call('SREM', root .. ':owners', owner)
-- One that has only expired may be given more time.
if isWithdrawn(owner) and redis.call('EXISTS', key('token', owner)) == 0 then limitOwner(owner, nil) end
return 1
