-- As how manyth a waiting execution will start, and where its owner may have only so many at work: as how manyth of its
--   owner's, how many that are, and how many it has. score, owner: where they are known.
--   → {} where it does not wait, {position} or {position, place, limit, active}

--- @include "./band-of.lua"
--- @include "./limit-of.lua"
--- @include "./position-of.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function turnOf(id, score, owner)
  if not owner then score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner')) end
  local position = owner and positionOf(id, score, owner)
  if not position then return {} end
  local limit, active = limitOf(owner)
  local band = bandOf(score)
  local place = limit and redis.call('ZRANK', lineOf(band, owner), id)
  if not place then return {position} end
  for higher = 0, tonumber(band) - 1 do place = place + redis.call('ZCARD', lineOf(higher, owner)) end
  return {position, place + 1, limit, active}
end
