-- Who has a place of a worker, with what tells when it becomes free: a record has ten times as much.
-- Arguments: none
-- Answers: for each its state, since when it has run, the worker and the owner, '' where there is none
-- Sent again: yes

--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/record.lua"

local answer = {}
for _, id in ipairs(redis.call('ZRANGE', root .. ':leases', 0, -1)) do
  for _, value in ipairs(redis.call('HMGET', record(id), 'state', 'startedAt', 'workerId', 'owner')) do
    answer[#answer + 1] = value or ''
  end
end
return answer
