-- The end of a delivery, with the removal of such as ended long ago.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @constant DELIVERIES_KEPT "../../../protocol/limits.ts"
--- @constant DELIVERY_KEPT_DAYS "../../../protocol/limits.ts"

local KEPT_MS = DELIVERY_KEPT_DAYS * 24 * 60 * 60 * 1000

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
end
