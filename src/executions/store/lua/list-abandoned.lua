-- Claimed executions whose lease is over. Where the clock of Redis is not where the caller expects it (it was set, or
--   everything was
-- suspended), and nobody has looked since, no lease says anything: each gets its whole length anew, and a living holder
--   renews its own
-- long before it is over.
-- Arguments: count, expected now (ms) or '', tolerance (ms)
-- Answers: now (ms) ids…
-- Sent again: yes

--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"

local leases, now, expected, tolerance = root .. ':leases', nowMs(), tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = tonumber(redis.call('GET', root .. ':lock:clock'))
redis.call('SET', root .. ':lock:clock', now, 'PX', tolerance)
if expected and math.abs(now - expected) > tolerance and not (seen and math.abs(now - seen) <= tolerance) then
  for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, now + (tonumber(get(id, 'leaseMs')) or tolerance), id)
  end
  return {now}
end
return {now, unpack(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[1]))}
