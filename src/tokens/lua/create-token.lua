-- Makes a token, and removes such as have expired long ago. An Idempotency-Key of its maker leads to the token that was
--   made with it first: whatever comes a second time with that key makes none.
-- Arguments (JSON): id, fields, limit (how many there may be), keptMs (for how long expired ones are kept),
--   key? (the Idempotency-Key), digest (of the request)
-- Answers: created | full | missing (the execution that it is for) | withdrawn (the token that makes it) |
--   replayed id | conflict
-- Sent again: yes; the id is new with each request

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/announce.lua"
--- @include "./include/drop-token.lua"
--- @include "./include/is-withdrawn.lua"
--- @include "./include/limit-owner.lua"

-- As for executions.
local KEY_MS = 24 * 60 * 60 * 1000

local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
if isWithdrawn(fields.createdBy) then return {'withdrawn'} end
local reservation = args.key and key('token-key', fields.createdBy .. ':' .. args.key)
local known = reservation and redis.call('GET', reservation)
if known then
  local knownId, digest = string.match(known, '^(%S+) (%S+)$')
  if knownId ~= id then return {digest == args.digest and 'replayed' or 'conflict', knownId} end
end
local execution = fields.executionId
if execution and redis.call('EXISTS', key('execution', execution)) == 0 then return {'missing'} end
local ended = redis.call('ZRANGEBYSCORE', root .. ':token-ends', '-inf', nowMs() - args.keptMs, 'LIMIT', 0, 100)
for _, old in ipairs(ended) do dropToken(old) end
local isNew = redis.call('EXISTS', key('token', id)) == 0
if isNew and redis.call('ZCARD', root .. ':tokens') >= args.limit then return {'full'} end
for name, value in pairs(fields) do redis.call('HSET', key('token', id), name, value) end
redis.call('ZADD', root .. ':tokens', 0, id)
if fields.expiresAt then redis.call('ZADD', root .. ':token-ends', fields.expiresAt, id) end
if fields.maxConcurrent then limitOwner(id, fields.maxConcurrent) end
if execution then
  redis.call('SADD', key('tokens-of', execution), id)
  -- The record of a task expires by itself; its list is what is then seen to be gone.
  local list = redis.call('HGET', key('execution', execution), 'parentId')
  if list then redis.call('SADD', key('tokens-of', list), id) end
end
if reservation then redis.call('SET', reservation, id .. ' ' .. args.digest, 'PX', KEY_MS) end
announce('changed', id)
return {'created'}
