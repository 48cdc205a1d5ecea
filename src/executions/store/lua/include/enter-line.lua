-- Places (score, id, ...) in the line of an owner. An owner whose line was empty has its next turn now, but not before
--   those who have waited while it was served (start-time fair queueing: nobody saves turns up).

--- @include "./served-keys.lua"
--- @include "./turn-clock.lua"
--- @include "./turn-keys.lua"

local function enterLine(band, owner, places)
  redis.call('ZADD', lineOf(band, owner), unpack(places))
  if redis.call('ZSCORE', turnsOf(band), owner) then return end
  local served = tonumber(redis.call('ZSCORE', servedOf(band), owner) or '0')
  local tag = math.max(turnClock(band), served)
  redis.call('ZADD', turnsOf(band), tag, owner)
  redis.call('PERSIST', servedOf(band))
  redis.call('PERSIST', clockOf(band))
end
