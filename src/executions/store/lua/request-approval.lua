-- A call of a run waits for a person's decision; asked for by the holder of the fence, which writes the event.
-- Arguments (JSON): id, executionId, fence, asked (JSON text), timeoutMs, maxOpen, maxAll
-- Answers: requested requestedAt expiresAt | stale | full limit
-- Sent again: yes; the second time it answers the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/add-open-approval.lua"
--- @include "./include/approval.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/note-outbox.lua"
--- @include "./include/open-approvals.lua"
--- @include "./include/record.lua"

local args = cjson.decode(ARGV[1])
local id, execution = args.id, args.executionId
local before = redis.call('HMGET', approval(id), 'requestedAt', 'expiresAt')
if before[1] then return {'requested', tonumber(before[1]), tonumber(before[2])} end
if not holdsFence(execution, args.fence) or not hasLease(execution) then return {'stale'} end
if #openApprovals(execution) >= args.maxOpen then return {'full', args.maxOpen} end
if redis.call('ZCARD', key('approvals-of', execution)) >= args.maxAll then return {'full', args.maxAll} end
local now, owner = nowMs(), get(execution, 'owner')
local expiresAt = now + args.timeoutMs
redis.call('HSET', approval(id), 'executionId', execution, 'owner', owner, 'fence', args.fence, 'status', 'pending',
  'asked', args.asked, 'requestedAt', now, 'expiresAt', expiresAt)
redis.call('ZADD', key('approvals-of', execution), 0, id)
redis.call('ZADD', root .. ':open-approvals', 0, id)
redis.call('ZADD', key('open-approvals', owner), 0, id)
redis.call('ZADD', root .. ':approval-deadlines', expiresAt, id)
addOpenApproval(execution, id)
redis.call('HINCRBY', record(execution), 'approvalCount', 1)
redis.call('HINCRBY', record(execution), 'approvalBytes', #args.asked)
local list = get(execution, 'parentId')
if list then addOpenApproval(list, id) end
noteOutbox(execution, 'approval.requested', id)
return {'requested', now, expiresAt}
