-- Makes a webhook. An Idempotency-Key of its token leads to the webhook that was made with it first.
-- Arguments (JSON): id, fields, owner, hears? (whose executions: its own or `*`), limit (how many its token may have),
--   key? (the Idempotency-Key), digest (of the request)
-- Answers: created | full | replayed id | conflict
-- Sent again: yes; the id is new with each request

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/hear.lua"

-- As for executions.
local KEY_MS = 24 * 60 * 60 * 1000

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
return {'created'}
