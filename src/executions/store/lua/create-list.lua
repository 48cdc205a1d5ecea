-- The acceptance of a task list with its first task. Only the task stands in the queue: a list takes one place of it.
-- Arguments (JSON): as create up to new, and task: {id, fields, before, after}
-- Answers: as create
-- Sent again: yes; as create

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/admit.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/set-all.lua"

local args = cjson.decode(ARGV[1])
local id, new, task = args.id, args.new, args.task
local answer = admit(args, task.id, task.fields)
if answer then return answer end
setAll(id, new.fields)
redis.call('HSET', key('tasks', id), 0, task.id)
local position = queueNew(task.id, args.score, task)
writeNext(id, new.before .. position .. new.after)
return {'created', position}
