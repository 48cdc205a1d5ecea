-- running | paused → queued: an attempt is over and another one follows. The event that tells of it is written in the same step,
-- and nobody holds the fence any more.
-- Arguments: id, fence or '' (then the lease must be over), fields JSON, event, not before (ms) or '', queue deadline (ms) or ''
-- Answers: retrying claim priority | cancelled by reason | stale | alive | refused state
-- Sent again: yes; the second time it is refused

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/record.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"

local id, fence, notBefore, deadline = ARGV[1], ARGV[2], ARGV[5], ARGV[6]
local state = get(id, 'state')
if state ~= 'running' and state ~= 'paused' then return {'refused', state or 'missing'} end
if fence == '' and hasLease(id) then return {'alive'} end
if fence ~= '' and not holdsFence(id, fence) then return {'stale'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
enter(id, 'queued')
setAll(id, ARGV[3])
writeNext(id, ARGV[4])
redis.call('HSET', key('log', id), 'fence', '')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
if notBefore == '' then
  redis.call('ZADD', root .. ':waiting', get(id, 'score'), id)
else
  set(id, 'notBefore', notBefore)
  redis.call('ZADD', root .. ':delayed', get(id, 'score'), id)
  redis.call('ZADD', root .. ':due', notBefore, id)
end
if deadline ~= '' then
  set(id, 'queueDeadline', deadline)
  redis.call('ZADD', root .. ':deadlines', deadline, id)
end
return {'retrying', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
