-- An attempt is over and another one follows: running | paused → queued, or waiting_* until something is decided. The
-- same of starting: its holder could not begin it. The event that tells of it is written in the same step, and nobody
-- holds the fence any more.
-- Arguments (JSON): id, fence? (without it the lease must be over), fields, event, notBefore? (ms), queueDeadline?
--   (ms), parked?: {reason, until, notBefore?, budgetRevision? (of the limits that it has met), approval? (that it
--   waits for), attempt}, closing? (of approvals, settle-approvals.lua)
-- Answers: retrying claim priority ready… (who may begin in its place, where it waits itself) | parked ready… |
--   cancelled by reason | moved (its limits have been changed) | stale | alive | refused state
-- Sent again: yes; the second time it is refused

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/keep-approval.lua"
--- @include "./include/leave-work.lua"
--- @include "./include/note-outbox.lua"
--- @include "./include/pass-work.lua"
--- @include "./include/record.lua"
--- @include "./include/requeue-attempt.lua"
--- @include "./include/rest.lua"
--- @include "./include/set-all.lua"
--- @include "./include/settle-approvals.lua"

local args = cjson.decode(ARGV[1])
local id, fence, parked = args.id, args.fence, args.parked
local state = get(id, 'state')
local isOver = state == 'running' or state == 'paused' or (state == 'starting' and fence)
if not isOver then return {'refused', state or 'missing'} end
if not fence and hasLease(id) then return {'alive'} end
if fence and not holdsFence(id, fence) then return {'stale'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
if parked and parked.budgetRevision and (get(id, 'budgetRevision') or '0') ~= parked.budgetRevision then
  return {'moved'}
end
if not enter(id, parked and 'waiting_' .. parked.reason or 'queued') then return {'refused', state} end
settleApprovals(id, args.closing, parked and parked.approval)
-- What the attempt was told that has not begun, its successor is told.
if state ~= 'starting' then redis.call('HDEL', record(id), 'ranMs', 'unparkNote') end
setAll(id, args.fields)
writeNext(id, args.event)
redis.call('HSET', key('log', id), 'fence', '')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
if parked then
  if parked.approval then keepApproval(parked.approval, parked.attempt) end
  rest(id, parked)
  noteOutbox(id, 'execution.parked')
  return {'parked', unpack(passWork(id))}
end
-- Its own job comes at once, unless it has to wait: then another one may begin.
local ready = args.notBefore and passWork(id) or {}
leaveWork(id)
local claim, priority = requeueAttempt(id, args)
return {'retrying', claim, priority, unpack(ready)}
