-- Where nothing of an owner is kept any more it is looked at no longer, and the limit of a token that is gone goes too.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../tokens/lua/include/is-gone.lua"
--- @include "../../../../tokens/lua/include/limit-owner.lua"

local function forgetOwner(owner)
  if redis.call('EXISTS', key('index', owner)) == 1 then return end
  redis.call('SREM', root .. ':owners', owner)
  if isGone(owner) then limitOwner(owner, nil) end
end
