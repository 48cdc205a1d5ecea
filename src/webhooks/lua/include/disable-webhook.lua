-- Disables a webhook: it hears of nothing more, and what waits for it ends when its line is next looked at.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./hear.lua"
--- @include "./plan-webhook.lua"
--- @include "./wake-lines.lua"

local function disableWebhook(id, reason, now)
  hear(id, nil)
  redis.call('HSET', key('webhook', id), 'enabled', '0', 'disabledAt', now, 'disabledReason', reason)
  wakeLines(id, now)
  planWebhook(id)
end
