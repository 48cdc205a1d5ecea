-- As how manyth a waiting execution will start, if nobody else comes; nil where it does not wait. Within a priority
--   each owner in turn has one, by its tag, then by its name. score, owner: where they are known.

--- @constant PRIORITY_STEP "../../queue-score.ts"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./band-of.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function positionOf(id, score, owner)
  local rank = redis.call('ZRANK', root .. ':waiting', id)
  if not rank then return nil end
  if not owner then score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner')) end
  local band = bandOf(score)
  if redis.call('ZCARD', turnsOf(band)) <= 1 then return rank + 1 end
  local place = redis.call('ZRANK', lineOf(band, owner), id)
  local tag = redis.call('ZSCORE', turnsOf(band), owner)
  -- An older version has queued it, and no claim or sweep has come by.
  if not place or not tag then return rank + 1 end
  local turn = tonumber(tag) + place
  local before = redis.call('ZCOUNT', root .. ':waiting', '-inf', '(' .. tonumber(band) * PRIORITY_STEP)
  local turns = redis.call('ZRANGE', turnsOf(band), '-inf', turn, 'BYSCORE', 'WITHSCORES')
  for index = 1, #turns, 2 do
    local other = turns[index]
    if other ~= owner then
      local ahead = turn - tonumber(turns[index + 1]) + (other < owner and 1 or 0)
      before = before + math.min(ahead, redis.call('ZCARD', lineOf(band, other)))
    end
  end
  return before + place + 1
end
