-- Whether an owner may have one more at work. A worker of an older version does not tell of the ends: what has no lease
--   is at work no more.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"

local function mayRun(owner)
  local limit = redis.call('HGET', root .. ':owner-limits', owner)
  if not limit then return true end
  local active = key('active', owner)
  if redis.call('SCARD', active) < tonumber(limit) then return true end
  for _, id in ipairs(redis.call('SMEMBERS', active)) do
    if not redis.call('ZSCORE', root .. ':leases', id) then redis.call('SREM', active, id) end
  end
  return redis.call('SCARD', active) < tonumber(limit)
end
