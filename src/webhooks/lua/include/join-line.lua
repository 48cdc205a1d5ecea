-- Puts a delivery at the end of its line; one that waits for nothing before it is due now.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./plan-webhook.lua"

-- Whatever becomes of the webhook: longer than one is tried and kept.
local LIFE_MS = 14 * 24 * 60 * 60 * 1000

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
end
