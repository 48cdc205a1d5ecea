import { RECORDS_LUA } from './record-scripts.js'

/** A worker died or was stopped before it let the CLI go. ARGV id, fence or '' (then the lease must be over), limit → requeued claim priority | cancelled by reason | exhausted | refused */
export const REQUEUE_LUA = `${RECORDS_LUA}
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
redis.call('ZADD', root .. ':waiting', get(id, 'score'), id)
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
return {'requeued', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
`

/**
 * An attempt is over and another one follows: out of the hands of its holder, or of one that died (no fence: then the lease must be over).
 * The event that tells of it is written in the same step, and nobody holds the fence any more.
 * ARGV id, fence or '', fields JSON, event, not before (ms) or '', queue deadline (ms) or ''
 * → retrying claim priority | cancelled by reason | stale | alive | refused state
 */
export const RETRY_LUA = `${RECORDS_LUA}
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
`

/** The next one whose time has come takes its place in the queue. → {id, claim, priority} or {} */
export const WAKE_DUE_LUA = `${RECORDS_LUA}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', root .. ':due', '-inf', nowMs(), 'LIMIT', 0, 100)) do
  redis.call('ZREM', root .. ':due', id)
  redis.call('ZREM', root .. ':delayed', id)
  if get(id, 'state') == 'queued' then
    redis.call('HDEL', record(id), 'notBefore')
    redis.call('ZADD', root .. ':waiting', get(id, 'score'), id)
    return {id, redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
  end
end
return {}
`

/** The limit of a credential is reached; a later end counts. The key goes when the last limit is over. ARGV name, until (ms) */
export const BLOCK_LUA = `${RECORDS_LUA}
local blocked, until_ = root .. ':blocked', tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', blocked, '-inf', nowMs())
redis.call('ZADD', blocked, 'GT', until_, ARGV[1])
local last = redis.call('ZRANGE', blocked, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', blocked, math.ceil(tonumber(last[2])))
return {}
`

/**
 * Claimed executions whose lease is over. Where Redis' clock is not where the caller expects it (it was set, or everything was suspended),
 * and nobody has looked since, no lease says anything: each gets its whole length anew, and who lives renews it long before it is over.
 * ARGV count, expected now (ms) or '', tolerance (ms) → now (ms) ids…
 */
export const LIST_ABANDONED_LUA = `${RECORDS_LUA}
local leases, now, expected, tolerance = root .. ':leases', nowMs(), tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = tonumber(redis.call('GET', root .. ':lock:clock'))
redis.call('SET', root .. ':lock:clock', now, 'PX', tolerance)
if expected and math.abs(now - expected) > tolerance and not (seen and math.abs(now - seen) <= tolerance) then
  for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, now + (tonumber(get(id, 'leaseMs')) or tolerance), id)
  end
  return {now}
end
return {now, unpack(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[1]))}
`

/** One holder at a time. By its own time, not by its key's: that would last for an hour where the clock is set back by one. ARGV name, ms → 1 | 0 */
export const TRY_LOCK_LUA = `${RECORDS_LUA}
local lock, now, milliseconds = root .. ':lock:' .. ARGV[1], nowMs(), tonumber(ARGV[2])
local takenAt = tonumber(redis.call('GET', lock))
if takenAt and math.abs(now - takenAt) < milliseconds then return 0 end
redis.call('SET', lock, now, 'PX', milliseconds)
return 1
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
if holder and holdsWorkspace(holder) then return {} end
return wakeNext(workspace)
`
