-- No other task follows. A worker that has something to do before the end (holdMs) holds the list meanwhile, under a
--   fence and a lease.

--- @include "../../../../events/lua/include/take-fence.lua"
--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./has-lease.lua"

local function over(list, holdMs)
  if not holdMs then return {'over'} end
  local fence = hasLease(list) and redis.call('HGET', key('log', list), 'fence') or takeFence(list)
  redis.call('ZADD', root .. ':leases', nowMs() + holdMs, list)
  return {'over', fence}
end
