-- Removes a webhook, and of its deliveries some; those that are left go by their own time, or with further calls.
-- Arguments: id
-- Answers: 1 | 0 where there is no such webhook; how many deliveries are left
-- Sent again: yes; the second time it is not there

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/hear.lua"

local SOME = 500

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
return {owner and 1 or 0, redis.call('ZCARD', key('deliveries', id)) + redis.call('ZCARD', key('webhook-lines', id))}
