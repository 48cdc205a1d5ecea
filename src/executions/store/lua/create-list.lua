-- The acceptance of a task list with its first task. Only the task stands in the queue: a list takes one place of it.
-- Arguments (JSON): as create up to new, and task: {id, fields, wantedBudget, before, after}
-- Answers: as create
-- Sent again: yes; as create

--- @include "../../../events/lua/include/write-first.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/admit.lua"
--- @include "./include/keep-attachments.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/set-all.lua"

local args = cjson.decode(ARGV[1])
local id, new, task = args.id, args.new, args.task
local answer = admit(args, task.id, task)
if answer then return answer end
setAll(id, new.fields)
if args.hasAttachments then keepAttachments(id) end
redis.call('HSET', key('tasks', id), 0, task.id)
setAll(task.id, task.fields)
local position = queueNew(task.id, args.score, args.owner, task)
writeFirst(id, new.before .. position .. new.after)
return {'created', position}
