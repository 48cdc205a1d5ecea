-- How many an owner may have at work, and how many it has; nil where it may have any number.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"

local function limitOf(owner)
  local limit = redis.call('HGET', root .. ':owner-limits', owner)
  if limit then return tonumber(limit), redis.call('SCARD', key('active', owner)) end
end
