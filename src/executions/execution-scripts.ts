import { RECORDS_LUA } from './record-scripts.js'

/**
 * created for one that was known | replayed id | conflict id | full | over …, where the day's budget has no place for it | refused why detail, where it may
 * not join a session; nil where it may be made. `payer` is what reserves the budget, with its record's JSON.
 */
const ADMIT_LUA = `${RECORDS_LUA}
local function admit(id, owner, idempotencyKey, digest, maxQueue, payer, payerJson, join)
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  local reservation = root .. ':idempotency:' .. owner .. ':' .. idempotencyKey
  if idempotencyKey ~= '' then
    local known = redis.call('GET', reservation)
    if known then
      local knownId, knownDigest = string.match(known, '^(%S+) (%S+)$')
      return {knownDigest == digest and 'replayed' or 'conflict', knownId}
    end
  end
  if redis.call('ZCARD', root .. ':waiting') + redis.call('ZCARD', root .. ':parked') + redis.call('ZCARD', root .. ':delayed') >= tonumber(maxQueue) then return {'full'} end
  local taken, over, kind = weighNew(owner, payerJson)
  if over then return over end
  local refusal = join and join()
  if refusal then return {'refused', refusal[1], refusal[2]} end
  reserve(payer, owner, kind, taken)
  if idempotencyKey ~= '' then redis.call('SET', reservation, id .. ' ' .. digest) end
  redis.call('ZADD', root .. ':index', 0, id)
  redis.call('ZADD', key('index', owner), 0, id)
  redis.call('SADD', root .. ':owners', owner)
end
`

/**
 * Safe to send again, as the driver does when a connection broke before the answer came: the id is new with each submission.
 * ARGV id, owner, idempotency key or '', request digest, maxQueue, score, record JSON, event before and after its position,
 * session or execution to resume or '', whether to fork it ('1'), workspace that was asked for or ''
 * → created position | replayed id | conflict id | full | refused why detail (see joinSession) | over unit limit spent reserved wanted next day
 */
export const CREATE_LUA = `${ADMIT_LUA}
local id = ARGV[1]
local function join()
  if ARGV[10] ~= '' then return joinSession(id, ARGV[2], ARGV[10], ARGV[11] == '1', ARGV[12], cjson.decode(ARGV[7]).simulated) end
end
return admit(id, ARGV[2], ARGV[3], ARGV[4], ARGV[5], id, ARGV[7], join) or {'created', queueNew(id, ARGV[6], ARGV[7], ARGV[8], ARGV[9])}
`

/**
 * A task list and its first task. ARGV as CREATE up to the event, then of the task: id, record JSON, event before and after its position.
 * Only the task stands in the queue: a list takes one place of it.
 */
export const CREATE_LIST_LUA = `${ADMIT_LUA}
local id, task = ARGV[1], ARGV[10]
local answer = admit(id, ARGV[2], ARGV[3], ARGV[4], ARGV[5], task, ARGV[11])
if answer then return answer end
setAll(id, ARGV[7])
redis.call('HSET', key('tasks', id), 0, task)
local position = queueNew(task, ARGV[6], ARGV[11], ARGV[12], ARGV[13])
writeNext(id, ARGV[8] .. position .. ARGV[9])
return {'created', position}
`

/** Sent again by the same worker it answers the same. ARGV id, claim, workerId, lease ms, credential, highest sandbox as a number → claimed fence lastSeq attempt stored bytes | refused state | expired | blocked ms | unsuited | parked */
export const CLAIM_LUA = `${RECORDS_LUA}
local id, workerId = ARGV[1], ARGV[3]
local state = get(id, 'state')
local function claimed(fence) return {'claimed', fence, lastSeq(id), tonumber(get(id, 'attempt')), tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')} end
if state == 'starting' and get(id, 'workerId') == workerId and get(id, 'claim') == ARGV[2] then return claimed(redis.call('HGET', key('log', id), 'fence')) end
if state ~= 'queued' then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= ARGV[2] then return {'refused', 'claim'} end
local now = nowMs()
local deadline = get(id, 'queueDeadline')
if deadline and now > tonumber(deadline) then return {'expired'} end
local blocked = redis.call('ZSCORE', root .. ':blocked', ARGV[5])
if blocked and tonumber(blocked) > now then return {'blocked', math.ceil(tonumber(blocked) - now)} end
if tonumber(get(id, 'sandbox') or '0') > tonumber(ARGV[6]) then
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
redis.call('ZADD', root .. ':leases', now + tonumber(ARGV[4]), id)
redis.call('HDEL', record(id), 'waitingFor', 'notBefore')
set(id, 'workerId', workerId, 'leaseMs', ARGV[4])
return claimed(fence)
`

/** Sent again under the same fence it answers the same. ARGV id, fence, fields JSON, event, task.started for its list or '' → started lastSeq | stale | cancelled */
export const START_LUA = `${RECORDS_LUA}
local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
if get(id, 'state') == 'running' then return {'started', lastSeq(id)} end
-- Others may take it at any moment, and nothing has been done yet: it is queued again.
if not hasLease(id) then return {'stale'} end
if get(id, 'cancelBy') then return {'cancelled'} end
if not enter(id, 'running') then return {'stale'} end
local before = get(id, 'sessionId')
local list = get(id, 'parentId')
if list and get(id, 'attempt') == '0' then
  if enter(list, 'running') then set(list, 'startedAt', cjson.decode(ARGV[3]).startedAt) end
  writeNext(list, ARGV[5])
end
setAll(id, ARGV[3])
beginSession(id, before)
return {'started', writeNext(id, ARGV[4])}
`

/** ARGV id, fence, lease ms, usage JSON or '' → stale | ok cancelBy cancelReason pauseWanted pauseBy pauseReason */
export const RENEW_LUA = `${RECORDS_LUA}
local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
redis.call('ZADD', root .. ':leases', nowMs() + tonumber(ARGV[3]), id)
if ARGV[4] ~= '' then set(id, 'usage', ARGV[4]) end
local wishes = redis.call('HMGET', record(id), 'cancelBy', 'cancelReason', 'pauseWanted', 'pauseBy', 'pauseReason')
for index = 1, 5 do wishes[index] = wishes[index] or '' end
return {'ok', unpack(wishes)}
`

/** ARGV id, fence, state → ok | stale: running ⇄ paused, by the holder */
export const ENTER_LUA = `${RECORDS_LUA}
if not holdsFence(ARGV[1], ARGV[2]) then return 'stale' end
enter(ARGV[1], ARGV[3])
return 'ok'
`

/** ARGV id, fence, then as conclude(): status, fields JSON, event, retention ms, cause, finished seq, key id, JWK → concluded from woken… | refused state | stale | moved */
export const CONCLUDE_LUA = `${RECORDS_LUA}
if not holdsFence(ARGV[1], ARGV[2]) then return {'stale'} end
return conclude(ARGV[1], unpack(ARGV, 3))
`

/** For a holder that died: only when its lease is over. ARGV id, then as conclude() → as CONCLUDE | alive */
export const CONCLUDE_ABANDONED_LUA = `${RECORDS_LUA}
local id = ARGV[1]
if not isActive(get(id, 'state')) then return {'refused', get(id, 'state') or 'missing'} end
if hasLease(id) then return {'alive'} end
takeFence(id)
return conclude(id, unpack(ARGV, 2))
`

/** For one that nobody has claimed. ARGV id, then as conclude(), whose cause is the event before the last → as CONCLUDE */
export const CONCLUDE_QUEUED_LUA = `${RECORDS_LUA}
local id = ARGV[1]
local state = get(id, 'state')
if state ~= 'queued' then return {'refused', state or 'missing'} end
takeFence(id)
return conclude(id, unpack(ARGV, 2))
`

/** ARGV id, kind (cancel | pause), value, by, reason → wished | known | refused state: a wish which the holder turns into events */
export const WISH_LUA = `${RECORDS_LUA}
local id, kind = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not isActive(state) or (kind == 'pause' and state == 'starting') then return {'refused', state or 'missing'} end
if kind == 'cancel' then
  if get(id, 'cancelBy') then return {'known', state} end
  set(id, 'cancelBy', ARGV[4], 'cancelReason', ARGV[5])
else
  set(id, 'pauseWanted', ARGV[3], 'pauseBy', ARGV[4], 'pauseReason', ARGV[5])
end
return {'wished', state}
`

/** With its tasks, where it has some. ARGV id, owner → deleted claim | refused state */
export const DELETE_LUA = `${RECORDS_LUA}
local id, owner = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if state == 'queued' or isActive(state) then return {'refused', state} end
local claim, reservation = get(id, 'claim'), reservationOf(id)
if reservation then redis.call('DEL', reservation) end
forget(id, owner)
return {'deleted', claim}
`
