-- Leaves the line of its owner; where nobody else stands in it, the owner has no turn. Where nobody waits at all, who
--   was served is forgotten after a while.

--- @include "./band-of.lua"
--- @include "./record.lua"
--- @include "./served-keys.lua"
--- @include "./turn-keys.lua"

local REMEMBERED_MS = 60 * 1000

local function leaveTurn(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  if not score then return end
  local band = bandOf(score)
  local line = lineOf(band, owner)
  if redis.call('ZREM', line, id) == 0 or redis.call('EXISTS', line) == 1 then return end
  redis.call('ZREM', turnsOf(band), owner)
  if redis.call('EXISTS', turnsOf(band)) == 1 then return end
  redis.call('PEXPIRE', servedOf(band), REMEMBERED_MS)
  redis.call('PEXPIRE', clockOf(band), REMEMBERED_MS)
end
