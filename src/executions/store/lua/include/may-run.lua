-- Whether an owner may have one more at work. A worker of an older version does not tell of the ends: what has no lease
--   is at work no more.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./limit-of.lua"

local function mayRun(owner)
  local limit, count = limitOf(owner)
  if not limit or count < limit then return true end
  local active = key('active', owner)
  for _, id in ipairs(redis.call('SMEMBERS', active)) do
    if not redis.call('ZSCORE', root .. ':leases', id) then redis.call('SREM', active, id) end
  end
  return redis.call('SCARD', active) < limit
end
