-- Whether it is the turn of its owner, and it is the first in its line: the usual case, in which nobody else is looked
--   for.

--- @include "./band-of.lua"
--- @include "./may-run.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function isDue(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  local band = bandOf(score)
  for higher = 0, tonumber(band) - 1 do
    if redis.call('EXISTS', turnsOf(higher)) == 1 then return false end
  end
  return redis.call('ZRANGE', turnsOf(band), 0, 0)[1] == owner
    and redis.call('ZRANGE', lineOf(band, owner), 0, 0)[1] == id
    and mayRun(owner)
end
