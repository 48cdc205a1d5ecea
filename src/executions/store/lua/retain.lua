-- Brings finished executions, and what they take, below the limits: the oldest are forgotten first, those that have
--   expired before
-- any other.
-- Arguments: max bytes, max executions, how many at most now (a task list counts with all its tasks)
-- Answers: {ids and claims, in turns} of what was forgotten before its time; the count of a full batch asks for another
--   call
-- Sent again: yes; what an answer that was lost had forgotten stays forgotten

--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/forget.lua"
--- @include "./include/get.lua"
--- @include "./include/record.lua"
--- @include "./include/release.lua"
--- @include "./include/task-ids.lua"

exceedMemory()
local maxBytes, maxExecutions, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function isOverLimit()
  local bytes = tonumber(redis.call('GET', root .. ':finished-total') or '0')
  return bytes > maxBytes or redis.call('ZCARD', root .. ':finished') > maxExecutions
end
for _, id in ipairs(redis.call('ZRANGE', root .. ':finished', 0, count - 1)) do
  if redis.call('EXISTS', record(id)) == 0 then release(id) end
end
local forgotten = {}
while #forgotten < count * 2 and isOverLimit() do
  local id = redis.call('ZRANGE', root .. ':finished', 0, 0)[1]
  if not id then break end
  local claim, owner = get(id, 'claim'), get(id, 'owner')
  if claim then
    for _, task in ipairs(taskIds(id)) do
      forgotten[#forgotten + 1] = task
      forgotten[#forgotten + 1] = get(task, 'claim') or '1'
    end
    forget(id, owner)
    forgotten[#forgotten + 1] = id
    forgotten[#forgotten + 1] = claim
  else
    release(id)
  end
end
return forgotten
