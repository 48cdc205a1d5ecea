-- A person's decision: the first one counts. An execution that is parked for it continues in the same step.
-- Arguments (JSON): id, status, decision (JSON text), digest (of the decision), by, byId, parked?: {event (of the
--   decision), unparked: {event, queueDeadline?, fields}} of an execution that was seen parked
-- Answers: decided | same | closed | missing | moved (it has been parked since it was seen) | unparked execution claim
--   priority
-- Sent again: yes; the second time it is the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./include/approval.lua"
--- @include "./include/close-approval.lua"
--- @include "./include/get.lua"
--- @include "./include/is-resting.lua"
--- @include "./include/record.lua"
--- @include "./include/set-all.lua"
--- @include "./include/unpark-run.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
local status, execution, fence, expiresAt, digest, byId =
  unpack(redis.call('HMGET', approval(id), 'status', 'executionId', 'fence', 'expiresAt', 'digest', 'decidedById'))
if not status then return {'missing'} end
if status ~= 'pending' then
  return {digest == args.digest and byId == args.byId and 'same' or 'closed'}
end
local now = nowMs()
if not holdsFence(execution, fence) then
  -- The attempt that asked is over.
  closeApproval(id, 'withdrawn')
  return {'closed'}
end
local isParked = isResting(get(execution, 'state'))
if isParked and not args.parked then return {'moved'} end
if now >= tonumber(expiresAt) then
  -- What that means for a parked execution the sweep decides.
  closeApproval(id, 'expired')
  return {'closed'}
end
closeApproval(id, args.status, 'decision', args.decision, 'digest', args.digest, 'decidedAt', now,
  'decidedBy', args.by, 'decidedById', args.byId)
redis.call('HINCRBY', record(execution), 'approvalBytes', #args.decision)
if not isParked then return {'decided'} end
writeNext(execution, args.parked.event)
setAll(execution, args.parked.unparked.fields)
return {'unparked', execution, unparkRun(execution, args.parked.unparked)}
