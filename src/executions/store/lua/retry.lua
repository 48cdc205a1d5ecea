-- running | paused → queued: an attempt is over and another one follows. starting → queued: its holder could not begin
-- it. The event that tells of it is written in the same step, and nobody holds the fence any more.
-- Arguments (JSON): id, fence? (without it the lease must be over), fields, event, notBefore? (ms), queueDeadline? (ms)
-- Answers: retrying claim priority ready… (who may begin in its place, where it waits itself) |
--   cancelled by reason | stale | alive | refused state
-- Sent again: yes; the second time it is refused

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter-queue.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/leave-work.lua"
--- @include "./include/pass-work.lua"
--- @include "./include/record.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"

local args = cjson.decode(ARGV[1])
local id, fence = args.id, args.fence
local state = get(id, 'state')
local isOver = state == 'running' or state == 'paused' or (state == 'starting' and fence)
if not isOver then return {'refused', state or 'missing'} end
if not fence and hasLease(id) then return {'alive'} end
if fence and not holdsFence(id, fence) then return {'stale'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
enter(id, 'queued')
setAll(id, args.fields)
writeNext(id, args.event)
redis.call('HSET', key('log', id), 'fence', '')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
-- Its own job comes at once, unless it has to wait: then another one may begin.
local ready = args.notBefore and passWork(id) or {}
leaveWork(id)
if args.notBefore then
  set(id, 'notBefore', args.notBefore)
  redis.call('ZADD', root .. ':delayed', get(id, 'score'), id)
  redis.call('ZADD', root .. ':due', args.notBefore, id)
else
  enterQueue(id, get(id, 'score'))
end
if args.queueDeadline then
  set(id, 'queueDeadline', args.queueDeadline)
  redis.call('ZADD', root .. ':deadlines', args.queueDeadline, id)
end
return {'retrying', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority'), unpack(ready)}
