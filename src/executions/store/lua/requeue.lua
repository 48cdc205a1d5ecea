-- starting → queued: a worker died or was stopped before it let the CLI go.
-- Arguments: id, fence or '' (then the lease must be over), limit of lost starts
-- Answers: requeued claim priority | cancelled by reason | exhausted | refused
-- Sent again: yes; the second time it is refused

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter-queue.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/leave-work.lua"
--- @include "./include/record.lua"

exceedMemory()
local id, fence = ARGV[1], ARGV[2]
if get(id, 'state') ~= 'starting' then return {'refused'} end
if fence == '' and hasLease(id) then return {'refused'} end
if fence ~= '' and not holdsFence(id, fence) then return {'refused'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
if redis.call('HINCRBY', record(id), 'lostStarts', 1) > tonumber(ARGV[3]) then return {'exhausted'} end
takeFence(id)
enter(id, 'queued')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
leaveWork(id)
enterQueue(id, get(id, 'score'))
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
return {'requeued', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
