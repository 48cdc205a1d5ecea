-- Makes a token, and removes such as have expired long ago.
-- Arguments: id, fields (JSON), how many there may be, how long expired ones are kept (milliseconds)
-- Answers: created | full | missing (the execution that it is for) | withdrawn (the token that makes it)
-- Sent again: yes; the id is new with each request

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/announce.lua"
--- @include "./include/drop-token.lua"
--- @include "./include/is-withdrawn.lua"
--- @include "./include/limit-owner.lua"

local id, fields, limit, keptMs = ARGV[1], cjson.decode(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if isWithdrawn(fields.createdBy) then return 'withdrawn' end
local execution = fields.executionId
if execution and redis.call('EXISTS', key('execution', execution)) == 0 then return 'missing' end
local ended = redis.call('ZRANGEBYSCORE', root .. ':token-ends', '-inf', nowMs() - keptMs, 'LIMIT', 0, 100)
for _, old in ipairs(ended) do dropToken(old) end
local isNew = redis.call('EXISTS', key('token', id)) == 0
if isNew and redis.call('ZCARD', root .. ':tokens') >= limit then return 'full' end
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
announce('changed', id)
return 'created'
