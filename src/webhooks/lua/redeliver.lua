-- A delivery is tried once more, as if it were new; one that still waits for its next attempt is due now.
-- Arguments: webhook, delivery
-- Answers: 1 | 0 where there is no such delivery
-- Sent again: yes

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "./include/join-line.lua"
--- @include "./include/plan-webhook.lua"

local webhookId, id = ARGV[1], ARGV[2]
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
return 1
