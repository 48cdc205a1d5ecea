import { LOG_LUA } from '../events/log-scripts.js'
import { TRANSITIONS_LUA } from './execution-state.js'

/**
 * Keys of this room, all below the root:
 *   execution:<id>            hash    the record
 *   index, index:<owner>      zset    ids in order of time (UUIDv7, score 0)
 *   owners                    set     whose indexes there are
 *   waiting                   zset    queued, in the order in which they start (score: priority, then time)
 *   parked                    zset    queued, but their workspace is taken; the same scores
 *   parked:<workspace>        zset    the same by workspace
 *   workspace:<workspace>     string  the execution that has it
 *   deadlines                 zset    queued ones with a queue timeout, by its end (ms)
 *   leases                    zset    claimed executions by the end of their lease (Redis' clock, ms)
 *   idempotency:<owner>:<key> string  <execution id> <request digest>
 *   receipt-keys              hash    every public key that has signed a receipt, by its id
 */
const RECORDS_LUA = `${LOG_LUA}
${TRANSITIONS_LUA}
local function record(id) return key('execution', id) end
local function get(id, field) return redis.call('HGET', record(id), field) end
local function set(id, ...) redis.call('HSET', record(id), ...) end
local function isActive(state) return state == 'starting' or state == 'running' or state == 'paused' end

local function enter(id, to)
  local from = get(id, 'state')
  if not from or not mayFollow[from][to] then return false, from or 'missing' end
  set(id, 'state', to)
  return true, from
end

local function setAll(id, json)
  for field, value in pairs(cjson.decode(json)) do set(id, field, value) end
end

-- Gives the workspace to whoever waits longest: its record may be queued again. → {id, claim, priority} or {}
local function wakeNext(workspace)
  local next = redis.call('ZPOPMIN', key('parked', workspace))[1]
  if not next then return {} end
  local score = redis.call('ZSCORE', root .. ':parked', next)
  redis.call('ZREM', root .. ':parked', next)
  if get(next, 'state') ~= 'queued' then return wakeNext(workspace) end
  redis.call('ZADD', root .. ':waiting', score, next)
  redis.call('HDEL', record(next), 'waitingFor')
  local claim = redis.call('HINCRBY', record(next), 'claim', 1)
  return {next, claim, get(next, 'priority')}
end

local function leaveQueue(id)
  redis.call('ZREM', root .. ':waiting', id)
  redis.call('ZREM', root .. ':parked', id)
  redis.call('ZREM', root .. ':deadlines', id)
  local workspace = get(id, 'workspaceLock')
  if workspace then redis.call('ZREM', key('parked', workspace), id) end
end

local function releaseWorkspace(id)
  local workspace = get(id, 'workspaceLock')
  if not workspace or redis.call('GET', key('workspace', workspace)) ~= id then return {} end
  redis.call('DEL', key('workspace', workspace))
  return wakeNext(workspace)
end

-- The end, in one step: state, outcome, receipt, last event, and nobody holds the fence any more.
-- finishedSeq: the seq that the receipt gives to the last event, or '' where there is no receipt.
local function conclude(id, status, fieldsJson, event, retentionMs, cause, finishedSeq, keyId, jwk)
  local ahead = cause == '' and 1 or 2
  if finishedSeq ~= '' and lastSeq(id) + ahead ~= tonumber(finishedSeq) then return {'moved'} end
  local entered, from = enter(id, status)
  if not entered then return {'refused', from} end
  if keyId ~= '' then redis.call('HSETNX', root .. ':receipt-keys', keyId, jwk) end
  setAll(id, fieldsJson)
  if cause ~= '' then writeNext(id, cause) end
  writeNext(id, event)
  redis.call('HSET', key('log', id), 'fence', '')
  redis.call('ZREM', root .. ':leases', id)
  leaveQueue(id)
  local woken = releaseWorkspace(id)
  for _, kept in ipairs({record(id), key('log', id), key('events', id)}) do redis.call('PEXPIRE', kept, retentionMs) end
  return {'concluded', from, unpack(woken)}
end
`

/**
 * ARGV id, owner, idempotency key or '', request digest, maxQueue, idempotency TTL ms, score, record JSON, event before and after its position
 * → created position | replayed id | conflict id | full
 */
export const CREATE_LUA = `${RECORDS_LUA}
local id, owner, idempotencyKey, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local reservation = root .. ':idempotency:' .. owner .. ':' .. idempotencyKey
if idempotencyKey ~= '' then
  local known = redis.call('GET', reservation)
  if known then
    local knownId, knownDigest = string.match(known, '^(%S+) (%S+)$')
    return {knownDigest == digest and 'replayed' or 'conflict', knownId}
  end
end
if redis.call('ZCARD', root .. ':waiting') + redis.call('ZCARD', root .. ':parked') >= tonumber(ARGV[5]) then return {'full'} end
if idempotencyKey ~= '' then redis.call('SET', reservation, id .. ' ' .. digest, 'PX', ARGV[6]) end
setAll(id, ARGV[8])
redis.call('ZADD', root .. ':index', 0, id)
redis.call('ZADD', key('index', owner), 0, id)
redis.call('SADD', root .. ':owners', owner)
redis.call('ZADD', root .. ':waiting', ARGV[7], id)
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
local position = redis.call('ZRANK', root .. ':waiting', id) + 1
writeNext(id, ARGV[9] .. position .. ARGV[10])
return {'created', position}
`

/** ARGV id, claim, workerId, lease ms → claimed fence lastSeq attempt | refused state | expired | parked */
export const CLAIM_LUA = `${RECORDS_LUA}
local id, workerId = ARGV[1], ARGV[3]
local state = get(id, 'state')
if state ~= 'queued' then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= ARGV[2] then return {'refused', 'claim'} end
local now = nowMs()
local deadline = get(id, 'queueDeadline')
if deadline and now > tonumber(deadline) then return {'expired'} end
local workspace = get(id, 'workspaceLock')
if workspace then
  local holder = redis.call('GET', key('workspace', workspace))
  if holder and holder ~= id and isActive(get(holder, 'state')) then
    local score = redis.call('ZSCORE', root .. ':waiting', id) or '0'
    redis.call('ZREM', root .. ':waiting', id)
    redis.call('ZADD', root .. ':parked', score, id)
    redis.call('ZADD', key('parked', workspace), score, id)
    set(id, 'waitingFor', 'workspace')
    return {'parked'}
  end
  redis.call('SET', key('workspace', workspace), id)
end
enter(id, 'starting')
leaveQueue(id)
local fence = takeFence(id)
redis.call('ZADD', root .. ':leases', now + tonumber(ARGV[4]), id)
redis.call('HDEL', record(id), 'waitingFor')
set(id, 'workerId', workerId)
return {'claimed', fence, lastSeq(id), tonumber(get(id, 'attempt'))}
`

/** ARGV id, fence, fields JSON, event → started lastSeq | stale | cancelled */
export const START_LUA = `${RECORDS_LUA}
local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
if get(id, 'cancelBy') then return {'cancelled'} end
if not enter(id, 'running') then return {'stale'} end
setAll(id, ARGV[3])
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
local lease = redis.call('ZSCORE', root .. ':leases', id)
if lease and tonumber(lease) > nowMs() then return {'alive'} end
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

/** A worker died or was stopped before it let the CLI go. ARGV id, fence or '' (then the lease must be over), limit → requeued claim priority | exhausted | refused */
export const REQUEUE_LUA = `${RECORDS_LUA}
local id, fence = ARGV[1], ARGV[2]
if get(id, 'state') ~= 'starting' then return {'refused'} end
if fence ~= '' then
  if not holdsFence(id, fence) then return {'refused'} end
else
  local lease = redis.call('ZSCORE', root .. ':leases', id)
  if lease and tonumber(lease) > nowMs() then return {'refused'} end
end
if redis.call('HINCRBY', record(id), 'lostStarts', 1) > tonumber(ARGV[3]) then return {'exhausted'} end
takeFence(id)
enter(id, 'queued')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
redis.call('ZADD', root .. ':waiting', get(id, 'score'), id)
return {'requeued', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
`

/** A queued record whose job was lost. ARGV id, claim as it was seen → claim | '' where it has moved on */
export const RECLAIM_LUA = `${RECORDS_LUA}
local id = ARGV[1]
if get(id, 'state') ~= 'queued' or get(id, 'claim') ~= ARGV[2] then return '' end
return redis.call('HINCRBY', record(id), 'claim', 1)
`

/** A parked execution whose workspace is free. ARGV id → {id, claim, priority} or {} */
export const UNPARK_LUA = `${RECORDS_LUA}
local workspace = get(ARGV[1], 'workspaceLock')
if not workspace then
  redis.call('ZREM', root .. ':parked', ARGV[1])
  return {}
end
local holder = redis.call('GET', key('workspace', workspace))
if holder and isActive(get(holder, 'state')) then return {} end
return wakeNext(workspace)
`

/** ARGV id, owner → deleted claim | refused state */
export const DELETE_LUA = `${RECORDS_LUA}
local id, owner = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if state == 'queued' or isActive(state) then return {'refused', state} end
local claim, idempotencyKey = get(id, 'claim'), get(id, 'idempotencyKey')
if idempotencyKey then redis.call('DEL', root .. ':idempotency:' .. owner .. ':' .. idempotencyKey) end
redis.call('DEL', record(id), key('log', id), key('events', id))
redis.call('ZREM', root .. ':index', id)
redis.call('ZREM', key('index', owner), id)
if redis.call('ZCARD', key('index', owner)) == 0 then redis.call('SREM', root .. ':owners', owner) end
return {'deleted', claim}
`
