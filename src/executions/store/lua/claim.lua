-- queued → starting: a worker takes an execution, under a new fence and a lease, with one of its credentials. The one
--   that its job names, where it is its owner's turn; else the job counts for whoever is due. So a job that finds its own
--   execution taken is not lost: there are as many jobs as there are executions that wait.
-- Arguments (JSON): id, claim (text), workerId, leaseMs, offers: {name, weight, highestSandbox (its number in
--   SandboxLevel)} of each credential
-- Answers: claimed id fence lastSeq attempt storedBytes credential ready… | refused state | expired id | blocked ms |
--   unsuited | parked ready…
-- Sent again: yes; the same worker gets the same fence and credential

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/need-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/band-of.lua"
--- @include "./include/choose-credential.lua"
--- @include "./include/enter-turn.lua"
--- @include "./include/enter.lua"
--- @include "./include/find-held.lua"
--- @include "./include/get.lua"
--- @include "./include/highest-free.lua"
--- @include "./include/hold-folders.lua"
--- @include "./include/holder-of.lua"
--- @include "./include/is-due.lua"
--- @include "./include/leave-queue.lua"
--- @include "./include/may-run.lua"
--- @include "./include/next-due.lua"
--- @include "./include/park.lua"
--- @include "./include/pass-on.lua"
--- @include "./include/record.lua"
--- @include "./include/set.lua"
--- @include "./include/take-turn.lua"
--- @include "./include/turn-keys.lua"
--- @include "./include/use-turn.lua"

local args = cjson.decode(ARGV[1])
local asked, workerId = args.id, args.workerId
local state = get(asked, 'state')
local function claimed(id, fence, ready)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  return {'claimed', id, fence, lastSeq(id), tonumber(get(id, 'attempt')), bytes, get(id, 'credential'), unpack(ready)}
end
-- Whom the job was used for, where that is not its own.
local job = asked .. '-' .. args.claim
local used = redis.call('GET', key('job', job)) or asked
local before = redis.call('HMGET', record(used), 'state', 'workerId', 'job')
if before[1] == 'starting' and before[2] == workerId and before[3] == job then
  return claimed(used, redis.call('HGET', key('log', used), 'fence'), {})
end

local refusal = state ~= 'queued' and (state or 'missing')
  or get(asked, 'claim') ~= args.claim and 'claim'
if refusal and redis.call('EXISTS', root .. ':waiting') == 0 then return {'refused', refusal} end
-- Else it would be claimed and could not be started.
needMemory()
local now = nowMs()
local function isOverdue(id)
  local deadline = get(id, 'queueDeadline')
  return deadline and now > tonumber(deadline)
end
if not refusal and isOverdue(asked) then return {'expired', asked} end
local highest, waitMs = highestFree(args.offers, now)
if not highest then return {'blocked', waitMs} end

local id = asked
local waits = not refusal and redis.call('ZSCORE', root .. ':waiting', asked)
-- An older version has queued it.
local line = waits and lineOf(bandOf(waits), get(asked, 'owner'))
if waits and not redis.call('ZSCORE', line, asked) then enterTurn(asked, waits) end
if refusal or (waits and not isDue(asked)) then
  local due, isUnsuited = nextDue(highest)
  if not due and isUnsuited then return {'unsuited'} end
  if not due then
    if refusal or not mayRun(get(asked, 'owner')) then return {'refused', refusal or 'limited'} end
  end
  id = due or asked
end
if id ~= asked and isOverdue(id) then return {'expired', id} end
local chosen, why = chooseCredential(id, args.offers, now)
if why == 'unsuited' then set(id, 'waitingFor', 'sandbox') end
if not chosen then return {'unsuited'} end
-- It may have been woken for a workspace: if it takes another one, or none, the next in line may have that.
local from = get(id, 'parkedOn')
if from then redis.call('ZREM', key('parked', from), id) end
redis.call('HDEL', record(id), 'parkedOn', 'wantedPlaces')
local workspace = get(id, 'workspaceLock')
if workspace then
  local owner = holderOf(id)
  local held = findHeld(owner, {workspace})
  if held then
    park(id, held)
    return {'parked', unpack(passOn(from))}
  end
  holdFolders(owner, {workspace})
end
enter(id, 'starting')
useTurn(id)
leaveQueue(id)
redis.call('SADD', key('active', get(id, 'owner')), id)
if id ~= asked then redis.call('SET', key('job', job), id, 'PX', math.max(1, args.leaseMs)) end
local fence = takeFence(id)
redis.call('ZADD', root .. ':leases', now + args.leaseMs, id)
redis.call('HDEL', record(id), 'waitingFor', 'notBefore')
set(id, 'workerId', workerId, 'leaseMs', args.leaseMs, 'job', job)
set(id, 'credential', chosen.name, 'credentialClaim', get(id, 'claim'))
takeTurn(chosen, #args.offers)
return claimed(id, fence, passOn(from))
