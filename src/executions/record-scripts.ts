import { LOG_LUA } from '../events/log-scripts.js'
import { LEDGER_LUA } from '../history/ledger-scripts.js'
import { HISTORY_LUA } from '../history/history-scripts.js'
import { TRANSITIONS_LUA } from './execution-state.js'
import { SESSIONS_LUA } from './session-scripts.js'

/** At least a day, as the protocol promises, and no shorter than the execution itself is kept; both from its end on. */
const IDEMPOTENCY_MS = 24 * 60 * 60 * 1_000

/**
 * Keys of this room, all below the root (those of sessions stand in session-scripts):
 *   execution:<id>            hash    the record
 *   index, index:<owner>      zset    ids in order of time (UUIDv7, score 0)
 *   owners                    set     whose indexes there are
 *   waiting                   zset    queued, in the order in which they start (score: priority, then time)
 *   parked                    zset    queued, but their workspace is taken; the same scores
 *   parked:<workspace>        zset    the same by workspace
 *   delayed                   zset    queued again, but not to begin before a time; the same scores
 *   due                       zset    the same by that time (ms)
 *   workspace:<workspace>     string  the execution that has it, from its first claim to its end
 *   deadlines                 zset    queued ones with a queue timeout, by its end (ms)
 *   blocked                   zset    names of credentials whose limit is reached, by the time when it is over (ms)
 *   leases                    zset    claimed executions by the end of their lease (Redis' clock, ms)
 *   idempotency:<owner>:<key> string  <execution id> <request digest>; without an end until its execution has one
 *   finished                  zset    what is kept, by the time of its end (Redis' clock, ms)
 *   finished-bytes            hash    how much of each is kept: log, request, result, receipt, files
 *   finished-total            string  the sum of these; not there when it is 0
 *   files:<id>                hash    what its run left in the workspace; file-store has its fields
 *   tasks:<list>              hash    a task list's tasks by index, as far as they exist (listed-task.ts)
 *   unsettled                 zset    task lists of which a task has ended or a cancel is wished: somebody must go on with them
 *   receipt-keys              hash    every public key that has signed a receipt, by its id
 */
export const RECORDS_LUA = `${LOG_LUA}
${TRANSITIONS_LUA}
${HISTORY_LUA}
${LEDGER_LUA}
local function record(id) return key('execution', id) end
local function get(id, field) return redis.call('HGET', record(id), field) end
local function set(id, ...) redis.call('HSET', record(id), ...) end
local function isEnded(state) return next(mayFollow[state]) == nil end
local function isActive(state) return state == 'starting' or state == 'running' or state == 'paused' end
${SESSIONS_LUA}
-- An execution that waits for its next attempt keeps its workspace: nobody else works in what it left half done.
local function holdsWorkspace(id)
  local state = get(id, 'state')
  if get(id, 'kind') == 'task_list' then return not isEnded(state) end
  return isActive(state) or (state == 'queued' and tonumber(get(id, 'attempt')) > 0)
end

local function hasLease(id)
  local lease = redis.call('ZSCORE', root .. ':leases', id)
  return lease and tonumber(lease) > nowMs()
end

local function enter(id, to)
  local from = get(id, 'state')
  if not from or not mayFollow[from][to] then return false, from or 'missing' end
  set(id, 'state', to)
  return true, from
end

local function setAll(id, json)
  for field, value in pairs(cjson.decode(json)) do set(id, field, value) end
end

-- A new record takes its place in the queue, and its log begins. The event comes in two pieces: between them stands the position.
local function queueNew(id, score, json, before, after)
  setAll(id, json)
  redis.call('ZADD', root .. ':waiting', score, id)
  local deadline = get(id, 'queueDeadline')
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = redis.call('ZRANK', root .. ':waiting', id) + 1
  writeNext(id, before .. position .. after)
  return position
end

local function expire(id, milliseconds)
  for _, kept in ipairs({record(id), key('log', id), key('events', id), key('files', id), key('tasks', id)}) do redis.call('PEXPIRE', kept, milliseconds) end
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

-- Its Idempotency-Key, unless that has expired and leads to another execution by now.
local function reservationOf(id)
  local name = get(id, 'idempotencyKey')
  local reservation = name and root .. ':idempotency:' .. get(id, 'owner') .. ':' .. name
  local known = reservation and redis.call('GET', reservation)
  return known and string.match(known, '^%S+') == id and reservation
end

local function leaveQueue(id)
  for _, list in ipairs({'waiting', 'parked', 'delayed', 'due', 'deadlines'}) do redis.call('ZREM', root .. ':' .. list, id) end
  local workspace = get(id, 'workspaceLock')
  if workspace then redis.call('ZREM', key('parked', workspace), id) end
end

local function releaseWorkspace(id)
  local workspace = get(id, 'workspaceLock')
  if not workspace or redis.call('GET', key('workspace', workspace)) ~= id then return {} end
  redis.call('DEL', key('workspace', workspace))
  return wakeNext(workspace)
end

local function kindOf(simulated) return simulated == '1' and 'simulated' or 'real' end
-- As weigh, of a record that is not stored yet; and under which kind its money is counted.
local function weighNew(owner, json)
  local fields = cjson.decode(json)
  local kind = kindOf(fields.simulated)
  local taken, over = weigh(owner, kind, cjson.decode(fields.wantedBudget))
  return taken, over, kind
end

-- What an end teaches and costs, told once: nothing comes here a second time.
local function account(id, status)
  -- Its tasks have been.
  if get(id, 'kind') == 'task_list' then return end
  local kind = kindOf(get(id, 'simulated'))
  local reserved = {usd = get(id, 'reserved:usd'), tokens = get(id, 'reserved:tokens')}
  settle(get(id, 'owner'), kind, get(id, 'ledgerDay') or nil, get(id, 'model') or '', cjson.decode(get(id, 'usage')), reserved, status == 'succeeded')
  learn(get(id, 'owner'), kind, get(id, 'fingerprints'), get(id, 'activeMs'), get(id, 'lesson') or '')
  redis.call('HDEL', record(id), 'fingerprints', 'activeMs', 'lesson')
end

-- Of a task list, as far as they exist.
local function taskIds(list)
  local ids = {}
  for index, listed in ipairs(redis.call('HVALS', key('tasks', list))) do ids[index] = string.match(listed, '^%S+') end
  return ids
end

local function sizeOf(id)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  for _, field in ipairs({'request', 'result', 'resultJson', 'receipt'}) do bytes = bytes + redis.call('HSTRLEN', record(id), field) end
  bytes = bytes + tonumber(redis.call('HGET', key('files', id), 'bytes') or '0')
  return bytes
end

-- What a finished execution takes, its tasks included, is counted with its end, and uncounted once, with whatever removes it.
local function retain(id)
  local bytes = sizeOf(id)
  for _, task in ipairs(taskIds(id)) do bytes = bytes + sizeOf(task) end
  redis.call('ZADD', root .. ':finished', nowMs(), id)
  redis.call('HSET', root .. ':finished-bytes', id, bytes)
  redis.call('INCRBY', root .. ':finished-total', bytes)
end

local function release(id)
  local bytes = redis.call('HGET', root .. ':finished-bytes', id)
  redis.call('ZREM', root .. ':finished', id)
  redis.call('HDEL', root .. ':finished-bytes', id)
  if bytes and redis.call('DECRBY', root .. ':finished-total', bytes) <= 0 then redis.call('DEL', root .. ':finished-total') end
end

-- Its Idempotency-Key is not among it: what was asked for once is not run again because its record had to go.
local function forget(id, owner)
  release(id)
  leaveSession(id)
  for _, task in ipairs(taskIds(id)) do
    leaveSession(task)
    redis.call('DEL', record(task), key('log', task), key('events', task), key('files', task))
  end
  redis.call('DEL', record(id), key('log', id), key('events', id), key('files', id), key('tasks', id))
  redis.call('ZREM', root .. ':index', id)
  redis.call('ZREM', key('index', owner), id)
  if redis.call('ZCARD', key('index', owner)) == 0 then redis.call('SREM', root .. ':owners', owner) end
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
  account(id, status)
  if cause ~= '' then writeNext(id, cause) end
  writeNext(id, event)
  redis.call('HSET', key('log', id), 'fence', '')
  redis.call('ZREM', root .. ':leases', id)
  leaveQueue(id)
  -- Without its listing nobody finds what was written of it.
  if redis.call('HEXISTS', key('files', id), 'listing') == 0 then redis.call('DEL', key('files', id)) end
  settleSession(id, retentionMs)
  local reservation = reservationOf(id)
  if reservation then redis.call('PEXPIRE', reservation, math.max(${IDEMPOTENCY_MS}, retentionMs)) end
  local woken = releaseWorkspace(id)
  -- A task lives and dies with its list, which somebody must now go on with.
  local list = get(id, 'parentId')
  if list then
    redis.call('ZADD', root .. ':unsettled', nowMs(), list)
  else
    retain(id)
    for _, task in ipairs(taskIds(id)) do expire(task, retentionMs) end
    expire(id, retentionMs)
  end
  return {'concluded', from, list or '', unpack(woken)}
end
`
