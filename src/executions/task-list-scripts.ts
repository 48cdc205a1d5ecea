import { RECORDS_LUA } from './record-scripts.js'

const TASKS_LUA = `${RECORDS_LUA}
local function taskAt(list, index) return redis.call('HGET', key('tasks', list), index) end
local function isTold(task) return string.find(task, ' ', 1, true) ~= nil end
-- No other task follows. A worker that has something to do before the end (holdMs) holds the list meanwhile, under a fence and a lease.
local function over(list, holdMs)
  if holdMs == '' then return {'over'} end
  local fence = hasLease(list) and redis.call('HGET', key('log', list), 'fence') or takeFence(list)
  redis.call('ZADD', root .. ':leases', nowMs() + tonumber(holdMs), list)
  return {'over', fence}
end
`

/**
 * A task has ended: its list is told, and the next one is made and queued, in one step. Whoever tells it (the process that
 * concluded the task, the sweep after a crash), and however often, it is told once.
 * ARGV list, index, listed text, event, usage of the list JSON, ms to hold a list that is over or '', then of the next task: id or '', score, record JSON, event before and after its position
 * → next claim priority | over [fence]: no other follows, the end of the list is to be written | waiting: the task goes on | moved: somebody else was first | settled
 */
export const ADVANCE_LUA = `${TASKS_LUA}
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
`

/**
 * The wish is in the list's log once; its running task has it in the same step.
 * ARGV list, by, reason, event → wished task state ('' '' where none is under way) | refused state
 */
export const CANCEL_LIST_LUA = `${TASKS_LUA}
local list, by, reason = ARGV[1], ARGV[2], ARGV[3]
local state = get(list, 'state')
if not state or isEnded(state) then return {'refused', state or 'missing'} end
if not get(list, 'cancelBy') then
  set(list, 'cancelBy', by, 'cancelReason', reason)
  writeNext(list, ARGV[4])
end
redis.call('ZADD', root .. ':unsettled', nowMs(), list)
local task = taskAt(list, redis.call('HLEN', key('tasks', list)) - 1)
if isTold(task) then return {'wished', '', ''} end
local taskState = get(task, 'state')
if isActive(taskState) and not get(task, 'cancelBy') then set(task, 'cancelBy', by, 'cancelReason', reason) end
return {'wished', task, taskState or ''}
`

/**
 * A hook of the operator's has run for a list: told in its log by whoever holds the fence of its task, or its own. Sent again it is told once.
 * ARGV list, holder, fence, number (of this holder's), event, hooks before the list that have decided or '', refusal JSON or '' → told | stale
 */
export const TELL_LIST_LUA = `${TASKS_LUA}
local list, sent = ARGV[1], ARGV[3] .. ' ' .. ARGV[4]
if not holdsFence(ARGV[2], ARGV[3]) then return {'stale'} end
if get(list, 'hookTold') == sent then return {'told'} end
set(list, 'hookTold', sent)
if ARGV[6] ~= '' then set(list, 'hooksRun', ARGV[6]) end
if ARGV[7] ~= '' then set(list, 'refusal', ARGV[7]) end
writeNext(list, ARGV[5])
return {'told'}
`

/** Only where no other task follows, and nobody else holds it. ARGV list, fence or '', then as conclude() → as CONCLUDE | alive */
export const CONCLUDE_LIST_LUA = `${TASKS_LUA}
local list = ARGV[1]
if not get(list, 'over') then return {'refused', get(list, 'state') or 'missing'} end
if hasLease(list) and not holdsFence(list, ARGV[2]) then return {'alive'} end
local answer = conclude(list, unpack(ARGV, 3))
if answer[1] ~= 'concluded' then return answer end
redis.call('ZREM', root .. ':unsettled', list)
return answer
`
