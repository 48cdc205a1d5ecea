-- The end, in one step: state, outcome, receipt, last event, and nobody holds the fence any more.
-- args: status, fields, event, retentionMs, cause? (the event before the last, that says why), closing? (of approvals,
--   settle-approvals.lua), seal?: {finishedSeq (that the receipt gives to the last event), keyId, jwk},
--   figures? (count-end.lua of telemetry); receipt, log: packed, '' where there is none

--- @include "../../../../events/lua/include/last-seq.lua"
--- @include "../../../../events/lua/include/pack.lua"
--- @include "../../../../events/lua/include/write-next.lua"
--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../schedules/lua/include/note-end.lua"
--- @include "../../../../telemetry/lua/include/count-end.lua"
--- @include "./account.lua"
--- @include "./enter.lua"
--- @include "./expire.lua"
--- @include "./get.lua"
--- @include "./has-open-messages.lua"
--- @include "./leave-queue.lua"
--- @include "./leave-rest.lua"
--- @include "./note-outbox.lua"
--- @include "./pass-work.lua"
--- @include "./release-workspace.lua"
--- @include "./reservation-of.lua"
--- @include "./retain.lua"
--- @include "./sees-approvals.lua"
--- @include "./set-all.lua"
--- @include "./set.lua"
--- @include "./settle-approvals.lua"
--- @include "./settle-session.lua"
--- @include "./take-over.lua"
--- @include "./task-ids.lua"

-- At least a day, as the protocol promises, and no shorter than the execution itself is kept; both from its end on.
local IDEMPOTENCY_MS = 24 * 60 * 60 * 1000

local function conclude(id, args, receipt, log)
  local status, retentionMs, cause, seal = args.status, args.retentionMs, args.cause, args.seal
  local closing = args.closing or {}
  if seal and lastSeq(id) + #closing + (cause and 2 or 1) ~= seal.finishedSeq then return {'moved'} end
  -- Whoever ends it tells first what has become of what people have said, and of what they were asked.
  if hasOpenMessages(id) then return {'moved'} end
  -- Those of a list are its tasks'.
  local isList = get(id, 'kind') == 'task_list'
  if not isList and not seesApprovals(id, closing) then return {'moved'} end
  local entered, from = enter(id, status)
  if not entered then return {'refused', from} end
  if seal then redis.call('HSETNX', root .. ':receipt-keys', seal.keyId, seal.jwk) end
  setAll(id, args.fields)
  if receipt ~= '' then set(id, 'receipt', receipt) end
  account(id, status)
  if not isList then settleApprovals(id, closing) end
  if cause then writeNext(id, cause) end
  writeNext(id, args.event)
  countEnd(id, args.figures)
  if log ~= '' then pack(id, log) end
  noteOutbox(id, 'execution.finished')
  local schedule = get(id, 'scheduleId')
  if schedule then noteEnd(schedule, id, status) end
  redis.call('HSET', key('log', id), 'fence', '')
  redis.call('ZREM', root .. ':leases', id)
  leaveQueue(id)
  leaveRest(id)
  -- Without its listing nobody finds what was written of it.
  if redis.call('HEXISTS', key('files', id), 'listing') == 0 then redis.call('DEL', key('files', id)) end
  redis.call('DEL', key('attachments', id))
  settleSession(id, retentionMs)
  local reservation = reservationOf(id)
  if reservation then redis.call('PEXPIRE', reservation, math.max(IDEMPOTENCY_MS, retentionMs)) end
  local ready = releaseWorkspace(id)
  for _, value in ipairs(passWork(id)) do ready[#ready + 1] = value end
  -- Whoever follows takes the session, or never can.
  local next = get(id, 'next')
  local follower, neverComes = {}, false
  if next and get(next, 'follows') == id then follower, neverComes = takeOver(next) end
  for _, value in ipairs(follower) do ready[#ready + 1] = value end
  -- A task lives and dies with its list, which somebody must now go on with.
  local list = get(id, 'parentId')
  if list then
    redis.call('ZADD', root .. ':unsettled', nowMs(), list)
  else
    retain(id)
    for _, task in ipairs(taskIds(id)) do expire(task, retentionMs) end
    expire(id, retentionMs)
  end
  return {'concluded', from, list or '', neverComes and next or '', unpack(ready)}
end
