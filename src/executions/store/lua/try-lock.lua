-- One holder at a time. By the time of the value and not by the expiry of its key, which would last for an hour where
--   the clock is
-- set back by one.
-- Arguments: name, ms
-- Answers: 1 | 0
-- Sent again: no: the second time the lock is held, until its time is over

--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"

local lock, now, milliseconds = root .. ':lock:' .. ARGV[1], nowMs(), tonumber(ARGV[2])
local takenAt = tonumber(redis.call('GET', lock))
if takenAt and math.abs(now - takenAt) < milliseconds then return 0 end
redis.call('SET', lock, now, 'PX', milliseconds)
return 1
