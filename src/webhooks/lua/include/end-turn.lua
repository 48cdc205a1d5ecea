-- Gives a turn back. Its line is due at a time, or, where nothing is left in it, gone.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./plan-webhook.lua"

local function endTurn(webhookId, line, due)
  redis.call('ZREM', key('webhook-turns', webhookId), line)
  redis.call('HDEL', key('webhook-fences', webhookId), line)
  if redis.call('EXISTS', key('webhook-line', webhookId .. ':' .. line)) == 1 then
    redis.call('ZADD', key('webhook-lines', webhookId), due, line)
  else
    redis.call('ZREM', key('webhook-lines', webhookId), line)
  end
  planWebhook(webhookId)
end
