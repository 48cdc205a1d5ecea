-- As how manyth waiting executions will start, and those whose owner may have only so many at work: as how manyth of
--   their owner's, how many that are, and how many it has.
-- Arguments: ids…
-- Answers: for each {} where it does not wait, {position} or {position, place, limit, active}
-- Sent again: yes

--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/band-of.lua"
--- @include "./include/limit-of.lua"
--- @include "./include/position-of.lua"
--- @include "./include/record.lua"
--- @include "./include/turn-keys.lua"

local answers, isLimited = {}, redis.call('EXISTS', root .. ':owner-limits') == 1
for index, id in ipairs(ARGV) do
  local answer = {positionOf(id)}
  if answer[1] and isLimited then
    local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
    local limit, active = limitOf(owner)
    local place = limit and redis.call('ZRANK', lineOf(bandOf(score), owner), id)
    if place then
      for higher = 0, tonumber(bandOf(score)) - 1 do place = place + redis.call('ZCARD', lineOf(higher, owner)) end
      answer = {answer[1], place + 1, limit, active}
    end
  end
  answers[index] = answer
end
return answers
