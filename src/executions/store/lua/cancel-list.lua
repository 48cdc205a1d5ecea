-- A cancel of a task list: it is in the log of the list once, and its running task has it in the same step.
-- Arguments: list, by, reason, event
-- Answers: requested task state lastSeq ('' '' where none is under way) | refused state
-- Sent again: yes

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/is-active.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/is-recorded.lua"
--- @include "./include/set.lua"
--- @include "./include/task-at.lua"

exceedMemory()
local list, by, reason = ARGV[1], ARGV[2], ARGV[3]
local state = get(list, 'state')
if not state or isEnded(state) then return {'refused', state or 'missing'} end
if not get(list, 'cancelBy') then
  set(list, 'cancelBy', by, 'cancelReason', reason)
  writeNext(list, ARGV[4])
end
redis.call('ZADD', root .. ':unsettled', nowMs(), list)
local task = taskAt(list, redis.call('HLEN', key('tasks', list)) - 1)
if isRecorded(task) then return {'requested', '', '', lastSeq(list)} end
local taskState = get(task, 'state')
if isActive(taskState) and not get(task, 'cancelBy') then set(task, 'cancelBy', by, 'cancelReason', reason) end
return {'requested', task, taskState or '', lastSeq(list)}
