-- What became of a turn: the delivery has ended, or its line waits for the next attempt.
-- Arguments (JSON): webhookId, line, fence, deliveryId, result (delivered | failed | gone (410) | released (not
--   tried)), attempt? (JSON), delayMs (until the next attempt), isFinal (there is none), isTest
-- Answers: stale | settled | disabled
-- Sent again: yes; the second time it is stale

--- @include "../../platform/lua/include/exceed-memory.lua"
--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/disable-webhook.lua"
--- @include "./include/end-delivery.lua"
--- @include "./include/end-turn.lua"
--- @include "./include/wake-lines.lua"
--- @constant DELIVERY_ATTEMPTS_KEPT "../../protocol/limits.ts"
--- @constant DELIVERY_HOURS "../../protocol/limits.ts"

-- So many failures on end are no fault of one delivery, which others' success would else have tried over and over.
local AWAY = 5
local TRIED_MS = DELIVERY_HOURS * 60 * 60 * 1000

-- It makes room, and what was sent would be sent again.
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
  -- It answers again: what waits need not wait for its own next attempt.
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
  -- The others of its token are told, and those for all.
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner, '*')
  if hearers[1] or hearers[2] then
    redis.call('XADD', root .. ':outbox', '*', 'type', 'webhook.disabled', 'timestamp', now, 'owner', owner,
      'webhookId', id, 'code', args.result == 'gone' and 'GONE' or 'FAILING')
    redis.call('PUBLISH', root .. ':outbox-news', '')
  end
  return 'disabled'
end
return 'settled'
