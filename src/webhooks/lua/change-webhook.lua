-- Changes fields of a webhook that is there.
-- Arguments (JSON): id, set (fields), removed (names of fields), enable? (whether it is to be enabled), forAll?
--   (whether it is to hear of all tokens), rotate? (the new secret), rotationMs
-- Answers: 1 | 0 where there is no such webhook
-- Sent again: yes, but for a rotation whose answer was lost: then the secret before it is gone

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "./include/disable-webhook.lua"
--- @include "./include/hear.lua"

local args = cjson.decode(ARGV[1])
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
return 1
