-- The acceptance of a task list with its first task. Only the task stands in the queue: a list takes one place of it.
-- Arguments: as create up to the event, then of the task: id, record JSON, event before and after its position
-- Answers: as create
-- Sent again: yes; as create

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/admit.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/set-all.lua"

local id, task = ARGV[1], ARGV[10]
local answer = admit(id, ARGV[2], ARGV[3], ARGV[4], ARGV[5], task, ARGV[11])
if answer then return answer end
setAll(id, ARGV[7])
redis.call('HSET', key('tasks', id), 0, task)
local position = queueNew(task, ARGV[6], ARGV[11], ARGV[12], ARGV[13])
writeNext(id, ARGV[8] .. position .. ARGV[9])
return {'created', position}
