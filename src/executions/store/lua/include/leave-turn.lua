-- Leaves the line of its owner; where nobody else stands in it, the owner has no turn.

--- @include "./band-of.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function leaveTurn(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  if not score then return end
  local band = bandOf(score)
  local line = lineOf(band, owner)
  if redis.call('ZREM', line, id) == 1 and redis.call('EXISTS', line) == 0 then
    redis.call('ZREM', turnsOf(band), owner)
  end
end
