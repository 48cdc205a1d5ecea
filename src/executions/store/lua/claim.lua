-- queued → starting: a worker takes an execution, under a new fence and a lease, with one of its credentials.
-- Arguments (JSON): id, claim (text), workerId, leaseMs, offers: {name, weight, highestSandbox (its number in
--   SandboxLevel)} of each credential
-- Answers: claimed fence lastSeq attempt storedBytes credential ready… | refused state | expired | blocked ms |
--   unsuited | parked ready…
-- Sent again: yes; the same worker gets the same fence and credential

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/need-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/choose-credential.lua"
--- @include "./include/enter.lua"
--- @include "./include/find-held.lua"
--- @include "./include/get.lua"
--- @include "./include/hold-folders.lua"
--- @include "./include/holder-of.lua"
--- @include "./include/leave-queue.lua"
--- @include "./include/park.lua"
--- @include "./include/pass-on.lua"
--- @include "./include/record.lua"
--- @include "./include/set.lua"
--- @include "./include/take-turn.lua"

local args = cjson.decode(ARGV[1])
local id, workerId = args.id, args.workerId
local state = get(id, 'state')
local function claimed(fence, ready)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  return {'claimed', fence, lastSeq(id), tonumber(get(id, 'attempt')), bytes, get(id, 'credential'), unpack(ready)}
end
if state == 'starting' and get(id, 'workerId') == workerId and get(id, 'claim') == args.claim then
  return claimed(redis.call('HGET', key('log', id), 'fence'), {})
end
if state ~= 'queued' then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= args.claim then return {'refused', 'claim'} end
-- Else it would be claimed and could not be started.
needMemory()
local now = nowMs()
local deadline = get(id, 'queueDeadline')
if deadline and now > tonumber(deadline) then return {'expired'} end
local chosen, why, waitMs = chooseCredential(id, args.offers, now)
if why == 'blocked' then return {'blocked', waitMs} end
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
leaveQueue(id)
local fence = takeFence(id)
redis.call('ZADD', root .. ':leases', now + args.leaseMs, id)
redis.call('HDEL', record(id), 'waitingFor', 'notBefore')
set(id, 'workerId', workerId, 'leaseMs', args.leaseMs, 'credential', chosen.name, 'credentialClaim', args.claim)
takeTurn(chosen, #args.offers)
return claimed(fence, passOn(from))
