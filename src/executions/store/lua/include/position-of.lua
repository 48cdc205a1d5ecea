-- As how manyth a waiting execution will start, if nobody else comes; nil where it does not wait. Within a priority
--   each owner in turn has one, by its tag, then by its name; what another owner may not have at work yet does not
--   count. Of what its own owner may not have yet it is the place among all that wait. score, owner: where they are
--   known.

--- @constant PRIORITY_STEP "../../queue-score.ts"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./band-of.lua"
--- @include "./is-in-order.lua"
--- @include "./limit-of.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

-- How many of an owner may start from its line of this priority.
local function startableOf(band, owner)
  local waiting = redis.call('ZCARD', lineOf(band, owner))
  local limit, active = limitOf(owner)
  if not limit then return waiting end
  local room = limit - active
  for higher = 0, tonumber(band) - 1 do room = room - redis.call('ZCARD', lineOf(higher, owner)) end
  return math.max(0, math.min(waiting, room))
end

-- All of higher priorities that come before one of this owner.
local function countHigher(band, owner, isLimited)
  if not isLimited then
    return redis.call('ZCOUNT', root .. ':waiting', '-inf', '(' .. tonumber(band) * PRIORITY_STEP)
  end
  local count = 0
  for higher = 0, tonumber(band) - 1 do
    for _, other in ipairs(redis.call('ZRANGE', turnsOf(higher), 0, -1)) do
      count = count + (other == owner and redis.call('ZCARD', lineOf(higher, other)) or startableOf(higher, other))
    end
  end
  return count
end

local function positionOf(id, score, owner)
  local rank = redis.call('ZRANK', root .. ':waiting', id)
  if not rank then return nil end
  if not owner then score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner')) end
  local band = bandOf(score)
  if isInOrder(band) then return rank + 1 end
  local place = redis.call('ZRANK', lineOf(band, owner), id)
  local tag = redis.call('ZSCORE', turnsOf(band), owner)
  -- An older version has queued it, and no claim or sweep has come by.
  if not place or not tag then return rank + 1 end
  local turn = tonumber(tag) + place
  local before = countHigher(band, owner, redis.call('EXISTS', root .. ':owner-limits') == 1)
  local turns = redis.call('ZRANGE', turnsOf(band), '-inf', turn, 'BYSCORE', 'WITHSCORES')
  for index = 1, #turns, 2 do
    local other = turns[index]
    if other ~= owner then
      local ahead = turn - tonumber(turns[index + 1]) + (other < owner and 1 or 0)
      before = before + math.min(ahead, startableOf(band, other))
    end
  end
  return before + place + 1
end
