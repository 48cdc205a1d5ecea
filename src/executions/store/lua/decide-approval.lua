-- A person's decision: the first one counts.
-- Arguments (JSON): id, status, decision (JSON text), digest (of the decision), by, byId
-- Answers: decided | same | closed | missing
-- Sent again: yes; the second time it is the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./include/approval.lua"
--- @include "./include/close-approval.lua"
--- @include "./include/record.lua"

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
if now >= tonumber(expiresAt) then
  closeApproval(id, 'expired')
  return {'closed'}
end
closeApproval(id, args.status, 'decision', args.decision, 'digest', args.digest, 'decidedAt', now,
  'decidedBy', args.by, 'decidedById', args.byId)
redis.call('HINCRBY', record(execution), 'approvalBytes', #args.decision)
return {'decided'}
