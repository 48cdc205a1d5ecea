-- A task has ended: its list is told, and the next one is made and queued, in one step, by the process that concluded the task
-- or by the sweep after a crash.
-- Arguments: list, index, listed text, event, usage of the list JSON, ms to hold a list that is over or '', then of the next task:
--   id or '', score, record JSON, event before and after its position
-- Answers: next claim priority | over [fence]: no other follows, the end of the list is to be written | waiting: the task goes on |
--   moved: somebody else was first | settled
-- Sent again: yes; the list is told once

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../history/lua/include/reserve.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/is-told.lua"
--- @include "./include/over.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/set.lua"
--- @include "./include/task-at.lua"
--- @include "./include/weigh-new.lua"

local list, index, holdMs, following = ARGV[1], tonumber(ARGV[2]), ARGV[6], ARGV[7]
local state = get(list, 'state')
if not state or isEnded(state) then return {'settled'} end
local task = taskAt(list, index)
if not task then return {'moved'} end
if isTold(task) then
  if get(list, 'over') then return over(list, holdMs) end
  if following ~= '' and taskAt(list, index + 1) == following then return {'next', get(following, 'claim'), get(following, 'priority')} end
  return {'moved'}
end
local taskState = get(task, 'state')
if taskState and not isEnded(taskState) then return {'waiting'} end
writeNext(list, ARGV[4])
redis.call('HSET', key('tasks', list), index, ARGV[3])
set(list, 'usage', ARGV[5])
if following == '' or get(list, 'cancelBy') then
  set(list, 'over', '1')
  return over(list, holdMs)
end
local owner = get(list, 'owner')
local taken, refused, kind = weighNew(owner, ARGV[9])
if refused then
  set(list, 'over', 'budget')
  return over(list, holdMs)
end
reserve(following, owner, kind, taken)
redis.call('HSET', key('tasks', list), index + 1, following)
queueNew(following, unpack(ARGV, 8, 11))
redis.call('ZREM', root .. ':unsettled', list)
return {'next', get(following, 'claim'), get(following, 'priority')}
