-- Puts a delivery at the end of its line: what is of one execution is sent in order.
--   delivery: {id, webhookId, line, fields (of the hash)}. Answers: whether there was room.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./join-line.lua"

local function addDelivery(delivery, most)
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
end
