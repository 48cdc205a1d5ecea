// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'include/announce': `local function announce(what, id)
  redis.call('INCR', root .. ':token-revision')
  redis.call('PUBLISH', root .. ':token-changes', what .. ' ' .. id)
end`,
  'include/limit-owner': `local function limitOwner(id, most)
  if most then redis.call('HSET', root .. ':owner-limits', id, most)
  else redis.call('HDEL', root .. ':owner-limits', id) end
end`,
  'change-token': `local id, fields, removed = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
if redis.call('EXISTS', key('token', id)) == 0 then return 0 end
for name, value in pairs(fields) do redis.call('HSET', key('token', id), name, value) end
for _, name in ipairs(removed) do
  redis.call('HDEL', key('token', id), name)
  if name == 'expiresAt' then redis.call('ZREM', root .. ':token-ends', id) end
  if name == 'maxConcurrent' then limitOwner(id, nil) end
end
if fields.expiresAt then redis.call('ZADD', root .. ':token-ends', fields.expiresAt, id) end
if fields.maxConcurrent then limitOwner(id, fields.maxConcurrent) end
announce('changed', id)
return 1`,
  'platform/include/now-ms': `local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end`,
  'include/drop-token': `local function dropToken(id)
  local execution = redis.call('HGET', key('token', id), 'executionId')
  local wasThere = redis.call('DEL', key('token', id)) == 1
  redis.call('ZREM', root .. ':tokens', id)
  redis.call('ZREM', root .. ':token-ends', id)
  if execution then redis.call('SREM', key('tokens-of', execution), id) end
  if redis.call('EXISTS', key('index', id)) == 0 then limitOwner(id, nil) end
  if wasThere then announce('removed', id) end
  return wasThere
end`,
  'include/is-made': `local function isMade(id) return #id == 36 and string.find(id, '^tok_%x+$') ~= nil end`,
  'include/is-withdrawn': `local function isWithdrawn(id)
  if not isMade(id) then return false end
  local digest, expiresAt = unpack(redis.call('HMGET', key('token', id), 'sha256', 'expiresAt'))
  return not digest or (expiresAt and tonumber(expiresAt) <= nowMs()) or false
end`,
  'create-token': `local KEY_MS = 24 * 60 * 60 * 1000
local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
if isWithdrawn(fields.createdBy) then return {'withdrawn'} end
local reservation = args.key and key('token-key', fields.createdBy .. ':' .. args.key)
local known = reservation and redis.call('GET', reservation)
if known then
  local knownId, digest = string.match(known, '^(%S+) (%S+)$')
  if knownId ~= id then return {digest == args.digest and 'replayed' or 'conflict', knownId} end
end
local execution = fields.executionId
if execution and redis.call('EXISTS', key('execution', execution)) == 0 then return {'missing'} end
local ended = redis.call('ZRANGEBYSCORE', root .. ':token-ends', '-inf', nowMs() - args.keptMs, 'LIMIT', 0, 100)
for _, old in ipairs(ended) do dropToken(old) end
local isNew = redis.call('EXISTS', key('token', id)) == 0
if isNew and redis.call('ZCARD', root .. ':tokens') >= args.limit then return {'full'} end
for name, value in pairs(fields) do redis.call('HSET', key('token', id), name, value) end
redis.call('ZADD', root .. ':tokens', 0, id)
if fields.expiresAt then redis.call('ZADD', root .. ':token-ends', fields.expiresAt, id) end
if fields.maxConcurrent then limitOwner(id, fields.maxConcurrent) end
if execution then
  redis.call('SADD', key('tokens-of', execution), id)
  local list = redis.call('HGET', key('execution', execution), 'parentId')
  if list then redis.call('SADD', key('tokens-of', list), id) end
end
if reservation then redis.call('SET', reservation, id .. ' ' .. args.digest, 'PX', KEY_MS) end
announce('changed', id)
return {'created'}`,
  'constant/TICKETS_LIMIT': `local TICKETS_LIMIT = 1000`,
  'issue-ticket': `local digest, token, meaning, milliseconds = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local seconds, microseconds = unpack(redis.call('TIME'))
local now, fraction = seconds * 1000 + math.floor(microseconds / 1000), microseconds % 1000 / 1000
local open = key('tickets-of', token)
redis.call('ZREMRANGEBYSCORE', open, '-inf', now)
if redis.call('ZCARD', open) >= TICKETS_LIMIT then
  local oldest = redis.call('ZRANGE', open, 0, 0)[1]
  redis.call('DEL', key('ticket', oldest))
  redis.call('ZREM', open, oldest)
end
redis.call('SET', key('ticket', digest), meaning, 'PX', milliseconds)
redis.call('ZADD', open, now + milliseconds + fraction, digest)
redis.call('PEXPIRE', open, milliseconds)
return now + milliseconds`,
  'limit-configured': `for id, most in pairs(cjson.decode(ARGV[1])) do limitOwner(id, most > 0 and most or nil) end
return 'OK'`,
  'redeem-ticket': `local meaning = redis.call('GET', key('ticket', ARGV[1]))
if not meaning then return nil end
redis.call('DEL', key('ticket', ARGV[1]))
redis.call('ZREM', key('tickets-of', cjson.decode(meaning).tokenId), ARGV[1])
return meaning`,
  'remove-token': `return dropToken(ARGV[1]) and 1 or 0`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccChangeToken: join(
    'platform/include/root', 'platform/include/key', 'include/announce', 'include/limit-owner', 'change-token',
  ),
  ccCreateToken: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/announce',
    'include/limit-owner', 'include/drop-token', 'include/is-made', 'include/is-withdrawn', 'create-token',
  ),
  ccIssueTicket: join(
    'platform/include/root', 'platform/include/key', 'constant/TICKETS_LIMIT', 'issue-ticket',
  ),
  ccLimitConfigured: join(
    'platform/include/root', 'include/limit-owner', 'limit-configured',
  ),
  ccRedeemTicket: join(
    'platform/include/root', 'platform/include/key', 'redeem-ticket',
  ),
  ccRemoveToken: join(
    'platform/include/root', 'platform/include/key', 'include/announce', 'include/limit-owner', 'include/drop-token',
    'remove-token',
  ),
}
