-- The owner of this execution has had its turn: the others come first now. What is not after the clock tells nothing.

--- @include "./band-of.lua"
--- @include "./record.lua"
--- @include "./served-keys.lua"
--- @include "./turn-clock.lua"
--- @include "./turn-keys.lua"

local function useTurn(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  local band = bandOf(score)
  local tag = tonumber(redis.call('ZSCORE', turnsOf(band), owner))
  if not tag then return end
  local clock = math.max(turnClock(band), tag)
  redis.call('SET', clockOf(band), clock)
  redis.call('ZADD', turnsOf(band), 'XX', tag + 1, owner)
  redis.call('ZREMRANGEBYSCORE', servedOf(band), '-inf', clock)
  redis.call('ZADD', servedOf(band), tag + 1, owner)
end
