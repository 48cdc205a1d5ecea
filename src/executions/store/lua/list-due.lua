-- Those who could be taken from the queue at this moment, as far as the limits of their owners go: for each there
--   should be a job on its way. What an older version has queued gets into its owner's line.
-- Arguments: how many are listed
-- Answers: how many there are, how many are at work, ids…
-- Sent again: yes

--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/band-of.lua"
--- @include "./include/enter-turn.lua"
--- @include "./include/get.lua"
--- @include "./include/limit-of.lua"
--- @include "./include/may-run.lua"
--- @include "./include/turn-keys.lua"

local most = tonumber(ARGV[1])
local oldest = redis.call('ZRANGE', root .. ':waiting', 0, most - 1, 'WITHSCORES')
for index = 1, #oldest, 2 do
  local id, score = oldest[index], oldest[index + 1]
  local owner = get(id, 'owner')
  if owner and not redis.call('ZSCORE', lineOf(bandOf(score), owner), id) then enterTurn(id, score) end
end
local ids, due, taken = {}, 0, {}
for band = 0, 2 do
  for _, owner in ipairs(redis.call('ZRANGE', turnsOf(band), 0, -1)) do
    local line, room = lineOf(band, owner), math.huge
    local isFree = mayRun(owner)
    local limit, active = limitOf(owner)
    if limit then room = isFree and limit - active - (taken[owner] or 0) or 0 end
    local count = math.max(0, math.min(room, redis.call('ZCARD', line)))
    taken[owner] = (taken[owner] or 0) + count
    due = due + count
    local listed = math.min(count, most - #ids)
    for _, id in ipairs(listed > 0 and redis.call('ZRANGE', line, 0, listed - 1) or {}) do ids[#ids + 1] = id end
  end
end
return {due, redis.call('ZCARD', root .. ':leases'), unpack(ids)}
