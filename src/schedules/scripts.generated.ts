// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'platform/include/now-ms': `local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end`,
  'constant/SHOWN_MOMENTS': `local SHOWN_MOMENTS = 10`,
  'include/note-moments': `local function noteMoments(id, moments)
  if #moments == 0 then return end
  redis.call('LPUSH', key('schedule-moments', id), unpack(moments))
  redis.call('LTRIM', key('schedule-moments', id), 0, SHOWN_MOMENTS - 1)
  local owner, name = unpack(redis.call('HMGET', key('schedule', id), 'owner', 'name'))
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner or '', '*')
  if not (hearers[1] or hearers[2]) then return end
  for _, text in ipairs(moments) do
    local moment = cjson.decode(text)
    if moment.outcome == 'failed' then
      redis.call('XADD', root .. ':outbox', '*', 'type', 'schedule.failed', 'timestamp', nowMs(), 'owner', owner,
        'scheduleId', id, 'name', name, 'plannedAt', moment.plannedAt, 'code', moment.code)
    end
  end
end`,
  'include/plan-next': `local function planNext(id, at)
  if at then
    redis.call('HSET', key('schedule', id), 'nextAt', at)
    redis.call('ZADD', root .. ':schedules-due', at, id)
  else
    redis.call('HDEL', key('schedule', id), 'nextAt')
    redis.call('ZREM', root .. ':schedules-due', id)
  end
end`,
  'include/settle-moments': `local function settleMoments(step)
  local schedule = key('schedule', step.id)
  redis.call('HSET', schedule, 'after', step.to)
  redis.call('HDEL', schedule, 'triedAt')
  noteMoments(step.id, step.moments)
  if step.stopped then redis.call('HSET', schedule, 'enabled', '0', 'stopped', step.stopped) end
  planNext(step.id, step.next)
end`,
  'include/stands-at': `local function standsAt(id, after, revision)
  local now = redis.call('HMGET', key('schedule', id), 'after', 'revision')
  return now[1] == after and now[2] == revision
end`,
  'change-schedule': `local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
local schedule = key('schedule', id)
if redis.call('EXISTS', schedule) == 0 then return {'missing'} end
if not standsAt(id, args.after, args.revision) then return {'moved'} end
local owner, name = unpack(redis.call('HMGET', schedule, 'owner', 'name'))
local names = key('schedule-names', owner)
if fields.name ~= name then
  local taken = redis.call('HGET', names, fields.name)
  if taken then return {'taken', taken} end
  redis.call('HDEL', names, name)
  redis.call('HSET', names, fields.name, id)
end
for field, value in pairs(fields) do redis.call('HSET', schedule, field, value) end
redis.call('HINCRBY', schedule, 'revision', 1)
settleMoments(args)
return {'changed'}`,
  'tokens/include/is-made': `local function isMade(id) return #id == 36 and string.find(id, '^tok_%x+$') ~= nil end`,
  'tokens/include/is-withdrawn': `local function isWithdrawn(id)
  if not isMade(id) then return false end
  local digest, expiresAt = unpack(redis.call('HMGET', key('token', id), 'sha256', 'expiresAt'))
  return not digest or (expiresAt and tonumber(expiresAt) <= nowMs()) or false
end`,
  'create-schedule': `local KEY_MS = 24 * 60 * 60 * 1000
local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
local owner = fields.owner
if redis.call('EXISTS', key('schedule', id)) == 1 then return {'created'} end
if isWithdrawn(owner) then return {'withdrawn'} end
local reservation = args.key and key('schedule-key', owner .. ':' .. args.key)
local known = reservation and redis.call('GET', reservation)
if known then
  local knownId, digest = string.match(known, '^(%S+) (%S+)$')
  return {digest == args.digest and 'replayed' or 'conflict', knownId}
end
local taken = redis.call('HGET', key('schedule-names', owner), fields.name)
if taken then return {'taken', taken} end
if redis.call('HLEN', key('schedule-names', owner)) >= args.ofToken then return {'full_of_token'} end
if redis.call('ZCARD', root .. ':schedules') >= args.inAll then return {'full'} end
for name, value in pairs(fields) do redis.call('HSET', key('schedule', id), name, value) end
redis.call('HSET', key('schedule-names', owner), fields.name, id)
redis.call('ZADD', root .. ':schedules', 0, id)
redis.call('ZADD', key('schedules', owner), 0, id)
planNext(id, args.next)
if reservation then redis.call('SET', reservation, id .. ' ' .. args.digest, 'PX', KEY_MS) end
return {'created'}`,
  'read-schedule': `local id = ARGV[1]
return {redis.call('HGETALL', key('schedule', id)), redis.call('LRANGE', key('schedule-moments', id), 0, -1)}`,
  'remove-schedule': `local id = ARGV[1]
local owner, name = unpack(redis.call('HMGET', key('schedule', id), 'owner', 'name'))
if not owner then return 0 end
planNext(id, nil)
for _, kind in ipairs({'schedule', 'schedule-moments', 'schedule-open'}) do redis.call('DEL', key(kind, id)) end
redis.call('HDEL', key('schedule-names', owner), name)
redis.call('ZREM', root .. ':schedules', id)
redis.call('ZREM', key('schedules', owner), id)
return 1`,
  'settle-schedule': `local step = cjson.decode(ARGV[1])
if not standsAt(step.id, step.after, step.revision) then return 'moved' end
settleMoments(step)
return 'settled'`,
  'try-moment': `local id = ARGV[1]
if not standsAt(id, ARGV[2], ARGV[3]) then return '' end
redis.call('HSETNX', key('schedule', id), 'triedAt', nowMs())
return tonumber(redis.call('HGET', key('schedule', id), 'triedAt'))`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccChangeSchedule: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'constant/SHOWN_MOMENTS',
    'include/note-moments', 'include/plan-next', 'include/settle-moments', 'include/stands-at', 'change-schedule',
  ),
  ccCreateSchedule: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'tokens/include/is-made',
    'tokens/include/is-withdrawn', 'include/plan-next', 'create-schedule',
  ),
  ccReadSchedule: join(
    'platform/include/root', 'platform/include/key', 'read-schedule',
  ),
  ccRemoveSchedule: join(
    'platform/include/root', 'platform/include/key', 'include/plan-next', 'remove-schedule',
  ),
  ccSettleSchedule: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'constant/SHOWN_MOMENTS',
    'include/note-moments', 'include/plan-next', 'include/settle-moments', 'include/stands-at', 'settle-schedule',
  ),
  ccTryMoment: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/stands-at', 'try-moment',
  ),
}
