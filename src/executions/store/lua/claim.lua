-- queued → starting: a worker with this credential takes an execution, under a new fence and a lease.
-- Arguments (JSON): id, claim (text), workerId, leaseMs, credential, highestSandbox (its number in SandboxLevel)
-- Answers: claimed fence lastSeq attempt storedBytes | refused state | expired | blocked ms | unsuited | parked
-- Sent again: yes; the same worker gets the same fence

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/need-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/holds-workspace.lua"
--- @include "./include/leave-queue.lua"
--- @include "./include/record.lua"
--- @include "./include/set.lua"

local args = cjson.decode(ARGV[1])
local id, workerId = args.id, args.workerId
local state = get(id, 'state')
local function claimed(fence)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  return {'claimed', fence, lastSeq(id), tonumber(get(id, 'attempt')), bytes}
end
if state == 'starting' and get(id, 'workerId') == workerId and get(id, 'claim') == args.claim then
  return claimed(redis.call('HGET', key('log', id), 'fence'))
end
if state ~= 'queued' then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= args.claim then return {'refused', 'claim'} end
-- Else it would be claimed and could not be started.
needMemory()
local now = nowMs()
local deadline = get(id, 'queueDeadline')
if deadline and now > tonumber(deadline) then return {'expired'} end
local blocked = redis.call('ZSCORE', root .. ':blocked', args.credential)
if blocked and tonumber(blocked) > now then return {'blocked', math.ceil(tonumber(blocked) - now)} end
if tonumber(get(id, 'sandbox') or '0') > args.highestSandbox then
  set(id, 'waitingFor', 'sandbox')
  return {'unsuited'}
end
local workspace = get(id, 'workspaceLock')
if workspace then
  -- A task list has it from the claim of its first task to its own end.
  local owner = get(id, 'parentId') or id
  local holder = redis.call('GET', key('workspace', workspace))
  if holder and holder ~= owner and holdsWorkspace(holder) then
    local score = get(id, 'score')
    redis.call('ZREM', root .. ':waiting', id)
    redis.call('ZADD', root .. ':parked', score, id)
    redis.call('ZADD', key('parked', workspace), score, id)
    set(id, 'waitingFor', 'workspace')
    return {'parked'}
  end
  redis.call('SET', key('workspace', workspace), owner)
end
enter(id, 'starting')
leaveQueue(id)
local fence = takeFence(id)
redis.call('ZADD', root .. ':leases', now + args.leaseMs, id)
redis.call('HDEL', record(id), 'waitingFor', 'notBefore')
set(id, 'workerId', workerId, 'leaseMs', args.leaseMs)
return claimed(fence)
