-- A task has ended: its list is told, and the next one is made and queued, in one step, by the process that concluded
--   the task
-- or by the sweep after a crash.
-- Arguments (JSON): list, index, listed (text), event, usage (JSON text, of the list), holdMs? (a list that is over is
--   held),
--   following?: the next task {id, score, fields, wantedBudget, before, after}
-- Answers: next claim priority | over [fence]: no other follows, the end of the list is to be written | waiting: the
--   task goes on |
--   moved: somebody else was first | settled
-- Sent again: yes; the list records it once

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../history/lua/include/reserve.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/is-recorded.lua"
--- @include "./include/over.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"
--- @include "./include/task-at.lua"
--- @include "./include/weigh-new.lua"

local args = cjson.decode(ARGV[1])
local list, index, holdMs, following = args.list, args.index, args.holdMs, args.following
local state = get(list, 'state')
if not state or isEnded(state) then return {'settled'} end
local task = taskAt(list, index)
if not task then return {'moved'} end
if isRecorded(task) then
  if get(list, 'over') then return over(list, holdMs) end
  if following and taskAt(list, index + 1) == following.id then
    return {'next', get(following.id, 'claim'), get(following.id, 'priority')}
  end
  return {'moved'}
end
local taskState = get(task, 'state')
if taskState and not isEnded(taskState) then return {'waiting'} end
writeNext(list, args.event)
redis.call('HSET', key('tasks', list), index, args.listed)
set(list, 'usage', args.usage)
if not following or get(list, 'cancelBy') then
  set(list, 'over', '1')
  return over(list, holdMs)
end
local owner = get(list, 'owner')
local taken, refused, kind = weighNew(owner, following.fields.simulated, following.wantedBudget)
if refused then
  set(list, 'over', 'budget')
  return over(list, holdMs)
end
reserve(following.id, owner, kind, taken)
redis.call('HSET', key('tasks', list), index + 1, following.id)
setAll(following.id, following.fields)
queueNew(following.id, following.score, following.fields.owner, following)
redis.call('ZREM', root .. ':unsettled', list)
return {'next', get(following.id, 'claim'), get(following.id, 'priority')}
