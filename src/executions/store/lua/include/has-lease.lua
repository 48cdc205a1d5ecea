-- Whether the lease of an execution goes on.

--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"

local function hasLease(id)
  local lease = redis.call('ZSCORE', root .. ':leases', id)
  return lease and tonumber(lease) > nowMs()
end
