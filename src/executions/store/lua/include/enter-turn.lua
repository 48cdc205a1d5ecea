-- Stands in the line of its owner. An owner whose line was empty has its next turn now, but not before those who have
--   waited while it was served (start-time fair queueing: nobody saves turns up).

--- @include "./band-of.lua"
--- @include "./get.lua"
--- @include "./served-keys.lua"
--- @include "./turn-clock.lua"
--- @include "./turn-keys.lua"

local function enterTurn(id, score)
  local band, owner = bandOf(score), get(id, 'owner')
  redis.call('ZADD', lineOf(band, owner), score, id)
  local served = tonumber(redis.call('ZSCORE', servedOf(band), owner) or '0')
  local tag = math.max(turnClock(band), served)
  if redis.call('ZADD', turnsOf(band), 'NX', tag, owner) == 0 then return end
  redis.call('PERSIST', servedOf(band))
  redis.call('PERSIST', clockOf(band))
end
