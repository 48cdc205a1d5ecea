// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'platform/include/now-ms': `local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end`,
  'include/plan-webhook': `local TURNS = 8
local function planWebhook(id)
  local first = redis.call('ZRANGE', key('webhook-lines', id), 0, 0, 'WITHSCORES')[2]
  if redis.call('ZCARD', key('webhook-turns', id)) >= TURNS then
    first = redis.call('ZRANGE', key('webhook-turns', id), 0, 0, 'WITHSCORES')[2]
  end
  if first then redis.call('ZADD', root .. ':webhooks-due', first, id)
  else redis.call('ZREM', root .. ':webhooks-due', id) end
end`,
  'include/join-line': `local LIFE_MS = 14 * 24 * 60 * 60 * 1000
local function joinLine(webhookId, line, id, now)
  local of = key('webhook-line', webhookId .. ':' .. line)
  redis.call('RPUSH', of, id)
  redis.call('PEXPIRE', of, LIFE_MS)
  redis.call('PEXPIRE', key('delivery', id), LIFE_MS)
  redis.call('HINCRBY', key('webhook', webhookId), 'pending', 1)
  if not redis.call('ZSCORE', key('webhook-lines', webhookId), line) then
    redis.call('ZADD', key('webhook-lines', webhookId), now, line)
    planWebhook(webhookId)
  end
end`,
  'include/add-delivery': `local function addDelivery(delivery, most)
  local id, webhookId, now = delivery.id, delivery.webhookId, nowMs()
  local webhook = key('webhook', webhookId)
  if redis.call('EXISTS', webhook) == 0 then return false end
  if tonumber(redis.call('HGET', webhook, 'pending') or 0) >= most then
    redis.call('HINCRBY', webhook, 'dropped', 1)
    return false
  end
  for name, value in pairs(delivery.fields) do redis.call('HSET', key('delivery', id), name, value) end
  redis.call('HSET', key('delivery', id), 'webhookId', webhookId, 'line', delivery.line, 'status', 'pending',
    'createdAt', now, 'askedAt', now, 'due', now)
  redis.call('ZADD', key('deliveries', webhookId), 0, id)
  joinLine(webhookId, delivery.line, id, now)
  return true
end`,
  'add-test': `local args = cjson.decode(ARGV[1])
if redis.call('EXISTS', key('delivery', args.delivery.id)) == 1 then return 1 end
return addDelivery(args.delivery, args.most) and 1 or 0`,
  'platform/include/exceed-memory': `local function exceedMemory() redis.call('DEL', root .. ':nothing') end`,
  'constant/DELIVERIES_KEPT': `local DELIVERIES_KEPT = 1000`,
  'constant/DELIVERY_KEPT_DAYS': `local DELIVERY_KEPT_DAYS = 7`,
  'include/end-delivery': `local KEPT_MS = DELIVERY_KEPT_DAYS * 24 * 60 * 60 * 1000
local function dropDelivery(webhookId, id)
  redis.call('DEL', key('delivery', id))
  redis.call('ZREM', key('deliveries', webhookId), id)
  redis.call('ZREM', key('deliveries-ended', webhookId), id)
end
local function endDelivery(webhookId, id, status, now)
  redis.call('HSET', key('delivery', id), 'status', status)
  redis.call('HDEL', key('delivery', id), 'due')
  redis.call('HINCRBY', key('webhook', webhookId), 'pending', -1)
  redis.call('HINCRBY', root .. ':webhook-totals', status, 1)
  redis.call('PEXPIRE', key('delivery', id), KEPT_MS)
  local ended = key('deliveries-ended', webhookId)
  redis.call('ZADD', ended, now, id)
  local old = redis.call('ZRANGEBYSCORE', ended, '-inf', now - KEPT_MS, 'LIMIT', 0, 100)
  for _, one in ipairs(old) do dropDelivery(webhookId, one) end
  local beyond = redis.call('ZCARD', ended) - DELIVERIES_KEPT
  if beyond > 0 then
    for _, one in ipairs(redis.call('ZRANGE', ended, 0, math.min(beyond, 100) - 1)) do dropDelivery(webhookId, one) end
  end
end`,
  'include/end-turn': `local function endTurn(webhookId, line, due)
  redis.call('ZREM', key('webhook-turns', webhookId), line)
  redis.call('HDEL', key('webhook-fences', webhookId), line)
  if redis.call('EXISTS', key('webhook-line', webhookId .. ':' .. line)) == 1 then
    redis.call('ZADD', key('webhook-lines', webhookId), due, line)
  else
    redis.call('ZREM', key('webhook-lines', webhookId), line)
  end
  planWebhook(webhookId)
end`,
  'begin-turn': `local SOME = 100
exceedMemory()
local id, line, fence, now = ARGV[1], ARGV[2], ARGV[3], nowMs()
local webhook, waiting = key('webhook', id), key('webhook-line', ARGV[1] .. ':' .. ARGV[2])
if redis.call('HGET', key('webhook-fences', id), line) ~= fence then return {'stale'} end
local enabled, disabledAt = unpack(redis.call('HMGET', webhook, 'enabled', 'disabledAt'))
for _ = 1, SOME do
  local delivery = redis.call('LINDEX', waiting, 0)
  if not delivery then break end
  local status, askedAt = unpack(redis.call('HMGET', key('delivery', delivery), 'status', 'askedAt'))
  local isOver = not enabled or status ~= 'pending'
  if not isOver and enabled == '0' and tonumber(askedAt) <= tonumber(disabledAt or 0) then
    endDelivery(id, delivery, 'failed', now)
    isOver = true
  end
  if not isOver then
    local untilMs = now + tonumber(ARGV[4])
    redis.call('ZADD', key('webhook-turns', id), untilMs, line)
    redis.call('ZADD', key('webhook-lines', id), untilMs, line)
    return {'send', delivery, now, redis.call('HGETALL', webhook), redis.call('HGETALL', key('delivery', delivery))}
  end
  redis.call('LPOP', waiting)
end
endTurn(id, line, now)
return {'empty'}`,
  'include/hear': `local function countHearers(of)
  local most = redis.call('SCARD', key('webhooks-hearing', of))
  if most > 0 then redis.call('HSET', root .. ':webhook-hearers', of, most)
  else redis.call('HDEL', root .. ':webhook-hearers', of) end
end
local function hear(id, of)
  local before = redis.call('HGET', key('webhook', id), 'hears')
  if before then
    redis.call('SREM', key('webhooks-hearing', before), id)
    redis.call('HDEL', key('webhook', id), 'hears')
    countHearers(before)
  end
  if of then
    redis.call('SADD', key('webhooks-hearing', of), id)
    redis.call('HSET', key('webhook', id), 'hears', of)
    countHearers(of)
  end
end`,
  'include/wake-lines': `local SOME = 1000
local function wakeLines(webhookId, now)
  local lines = key('webhook-lines', webhookId)
  local later = redis.call('ZRANGEBYSCORE', lines, '(' .. now, '+inf', 'LIMIT', 0, SOME)
  for _, line in ipairs(later) do
    if not redis.call('ZSCORE', key('webhook-turns', webhookId), line) then redis.call('ZADD', lines, now, line) end
  end
  return #later < SOME
end`,
  'include/disable-webhook': `local function disableWebhook(id, reason, now)
  hear(id, nil)
  redis.call('HSET', key('webhook', id), 'enabled', '0', 'disabledAt', now, 'disabledReason', reason)
  wakeLines(id, now)
  planWebhook(id)
end`,
  'change-webhook': `local args = cjson.decode(ARGV[1])
local webhook, now = key('webhook', args.id), nowMs()
if redis.call('EXISTS', webhook) == 0 then return 0 end
for name, value in pairs(args.set) do redis.call('HSET', webhook, name, value) end
for _, name in ipairs(args.removed) do redis.call('HDEL', webhook, name) end
if args.rotate and redis.call('HGET', webhook, 'secret') ~= args.rotate then
  redis.call('HSET', webhook, 'previousSecret', redis.call('HGET', webhook, 'secret'),
    'previousSecretUntil', now + args.rotationMs, 'secret', args.rotate)
end
if args.forAll ~= nil then redis.call('HSET', webhook, 'allTokens', args.forAll and '1' or '0') end
local wasEnabled = redis.call('HGET', webhook, 'enabled') == '1'
local isEnabled = wasEnabled
if args.enable ~= nil then isEnabled = args.enable end
if wasEnabled and not isEnabled then disableWebhook(args.id, 'request', now) end
if isEnabled then
  if not wasEnabled then
    redis.call('HSET', webhook, 'enabled', '1')
    redis.call('HDEL', webhook, 'disabledAt', 'disabledReason', 'failingSince', 'failures')
  end
  local owner, forAll = unpack(redis.call('HMGET', webhook, 'owner', 'allTokens'))
  hear(args.id, forAll == '1' and '*' or owner)
end
return 1`,
  'create-webhook': `local KEY_MS = 24 * 60 * 60 * 1000
local args = cjson.decode(ARGV[1])
local id, owner = args.id, args.owner
local reservation = args.key and key('webhook-key', owner .. ':' .. args.key)
local known = reservation and redis.call('GET', reservation)
if known then
  local knownId, digest = string.match(known, '^(%S+) (%S+)$')
  if knownId ~= id then return {digest == args.digest and 'replayed' or 'conflict', knownId} end
end
local isNew = redis.call('EXISTS', key('webhook', id)) == 0
if isNew and redis.call('ZCARD', key('webhooks', owner)) >= args.limit then return {'full'} end
for name, value in pairs(args.fields) do redis.call('HSET', key('webhook', id), name, value) end
redis.call('HSET', key('webhook', id), 'owner', owner, 'createdAt', nowMs())
redis.call('ZADD', root .. ':webhooks', 0, id)
redis.call('ZADD', key('webhooks', owner), 0, id)
hear(id, args.hears)
if reservation then redis.call('SET', reservation, id .. ' ' .. args.digest, 'PX', KEY_MS) end
return {'created'}`,
  'grant-turns': `local left, now = tonumber(ARGV[1]), nowMs()
local untilMs, granted = now + tonumber(ARGV[2]), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', root .. ':webhooks-due', '-inf', now, 'LIMIT', 0, left)) do
  local turns, lines = key('webhook-turns', id), key('webhook-lines', id)
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', now)
  local free = math.min(TURNS - redis.call('ZCARD', turns), left)
  if free > 0 then
    for _, line in ipairs(redis.call('ZRANGEBYSCORE', lines, '-inf', now, 'LIMIT', 0, free)) do
      local fence = redis.call('INCR', root .. ':webhook-fence')
      redis.call('HSET', key('webhook-fences', id), line, fence)
      redis.call('ZADD', turns, untilMs, line)
      redis.call('ZADD', lines, untilMs, line)
      granted[#granted + 1] = id
      granted[#granted + 1] = line
      granted[#granted + 1] = tostring(fence)
      left = left - 1
    end
  end
  planWebhook(id)
end
return granted`,
  'redeliver': `local webhookId, id = ARGV[1], ARGV[2]
local delivery, now = key('delivery', id), nowMs()
local of, line, status = unpack(redis.call('HMGET', delivery, 'webhookId', 'line', 'status'))
if of ~= webhookId or redis.call('EXISTS', key('webhook', webhookId)) == 0 then return 0 end
redis.call('HSET', delivery, 'status', 'pending', 'askedAt', now, 'due', now)
redis.call('HDEL', delivery, 'tries', 'deliveredAt')
if status ~= 'pending' then
  redis.call('ZREM', key('deliveries-ended', webhookId), id)
  joinLine(webhookId, line, id, now)
elseif not redis.call('ZSCORE', key('webhook-turns', webhookId), line) then
  redis.call('ZADD', key('webhook-lines', webhookId), now, line)
  planWebhook(webhookId)
end
return 1`,
  'remove-webhook': `local SOME = 500
local id = ARGV[1]
local owner = redis.call('HGET', key('webhook', id), 'owner')
if owner then
  hear(id, nil)
  redis.call('ZREM', root .. ':webhooks', id)
  redis.call('ZREM', key('webhooks', owner), id)
  redis.call('DEL', key('webhook', id))
end
redis.call('ZREM', root .. ':webhooks-due', id)
for _, line in ipairs(redis.call('ZRANGE', key('webhook-lines', id), 0, SOME - 1)) do
  redis.call('DEL', key('webhook-line', id .. ':' .. line))
  redis.call('ZREM', key('webhook-lines', id), line)
end
for _, delivery in ipairs(redis.call('ZRANGE', key('deliveries', id), 0, SOME - 1)) do
  redis.call('DEL', key('delivery', delivery))
  redis.call('ZREM', key('deliveries', id), delivery)
end
for _, kind in ipairs({'deliveries-ended', 'webhook-turns', 'webhook-fences'}) do redis.call('DEL', key(kind, id)) end
return {owner and 1 or 0, redis.call('ZCARD', key('deliveries', id)) + redis.call('ZCARD', key('webhook-lines', id))}`,
  'constant/DELIVERY_ATTEMPTS_KEPT': `local DELIVERY_ATTEMPTS_KEPT = 20`,
  'constant/DELIVERY_HOURS': `local DELIVERY_HOURS = 72`,
  'settle-turn': `local AWAY = 5
local TRIED_MS = DELIVERY_HOURS * 60 * 60 * 1000
exceedMemory()
local args = cjson.decode(ARGV[1])
local id, line, now = args.webhookId, args.line, nowMs()
local webhook, delivery = key('webhook', id), key('delivery', args.deliveryId)
local waiting = key('webhook-line', id .. ':' .. line)
if redis.call('HGET', key('webhook-fences', id), line) ~= args.fence then return 'stale' end
local askedAt = tonumber(redis.call('HGET', delivery, 'askedAt'))
local isThere = redis.call('EXISTS', webhook) == 1 and askedAt
if not isThere or args.result == 'released' then
  endTurn(id, line, now)
  return 'settled'
end
local attempts = redis.call('HINCRBY', delivery, 'attempts', 1)
redis.call('HSET', delivery, 'attempt:' .. attempts, args.attempt)
redis.call('HDEL', delivery, 'attempt:' .. attempts - DELIVERY_ATTEMPTS_KEPT)
local function finish(status)
  redis.call('LPOP', waiting)
  endDelivery(id, args.deliveryId, status, now)
end
if args.result == 'delivered' then
  finish('delivered')
  redis.call('HSET', delivery, 'deliveredAt', now)
  redis.call('HSET', webhook, 'lastDeliveredAt', now)
  local wasAway = tonumber(redis.call('HGET', webhook, 'failures') or 0) >= AWAY
  if not wasAway or wakeLines(id, now) then redis.call('HDEL', webhook, 'failingSince', 'failures') end
  endTurn(id, line, now)
  return 'settled'
end
redis.call('HINCRBY', delivery, 'tries', 1)
redis.call('HINCRBY', root .. ':webhook-totals', 'attempt_failed', 1)
if not args.isTest then
  redis.call('HSETNX', webhook, 'failingSince', now)
  redis.call('HINCRBY', webhook, 'failures', 1)
end
local isOver = args.isFinal or now - askedAt >= TRIED_MS
local takenAt = tonumber(redis.call('HGET', webhook, 'lastDeliveredAt') or 0)
local isDead = not args.isTest and (args.result == 'gone' or (isOver and not args.isFinal and takenAt < askedAt))
local isDisabled = redis.call('HGET', webhook, 'enabled') == '1' and isDead
local due = math.min(now + args.delayMs, askedAt + TRIED_MS)
if isOver or isDead then
  finish('failed')
  due = now
else
  redis.call('HSET', delivery, 'due', due)
end
endTurn(id, line, due)
if isDisabled then
  disableWebhook(id, args.result == 'gone' and 'gone' or 'failing', now)
  local owner = redis.call('HGET', webhook, 'owner')
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner, '*')
  if hearers[1] or hearers[2] then
    redis.call('XADD', root .. ':outbox', '*', 'type', 'webhook.disabled', 'timestamp', now, 'owner', owner,
      'webhookId', id, 'code', args.result == 'gone' and 'GONE' or 'FAILING')
    redis.call('PUBLISH', root .. ':outbox-news', '')
  end
  return 'disabled'
end
return 'settled'`,
  'take-entry': `local args = cjson.decode(ARGV[1])
if redis.call('XDEL', root .. ':outbox', args.entry) == 0 then return 0 end
for _, delivery in ipairs(args.deliveries) do addDelivery(delivery, args.most) end
return 1`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccAddTest: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/plan-webhook',
    'include/join-line', 'include/add-delivery', 'add-test',
  ),
  ccBeginTurn: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'platform/include/now-ms',
    'constant/DELIVERIES_KEPT', 'constant/DELIVERY_KEPT_DAYS', 'include/end-delivery', 'include/plan-webhook',
    'include/end-turn', 'begin-turn',
  ),
  ccChangeWebhook: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/hear', 'include/plan-webhook',
    'include/wake-lines', 'include/disable-webhook', 'change-webhook',
  ),
  ccCreateWebhook: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/hear', 'create-webhook',
  ),
  ccGrantTurns: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/plan-webhook', 'grant-turns',
  ),
  ccRedeliver: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/plan-webhook',
    'include/join-line', 'redeliver',
  ),
  ccRemoveWebhook: join(
    'platform/include/root', 'platform/include/key', 'include/hear', 'remove-webhook',
  ),
  ccSettleTurn: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'platform/include/now-ms',
    'include/hear', 'include/plan-webhook', 'include/wake-lines', 'include/disable-webhook', 'constant/DELIVERIES_KEPT',
    'constant/DELIVERY_KEPT_DAYS', 'include/end-delivery', 'include/end-turn', 'constant/DELIVERY_ATTEMPTS_KEPT',
    'constant/DELIVERY_HOURS', 'settle-turn',
  ),
  ccTakeEntry: join(
    'platform/include/root', 'platform/include/key', 'platform/include/now-ms', 'include/plan-webhook',
    'include/join-line', 'include/add-delivery', 'take-entry',
  ),
}
