-- Changes fields of a token that is there: a revocation at the same time is final, whichever comes first.
-- Arguments: id, fields to set (JSON), names of fields to remove (JSON)
-- Answers: 1 | 0 where there is no such token
-- Sent again: yes

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "./include/announce.lua"
--- @include "./include/limit-owner.lua"

local id, fields, removed = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
if redis.call('EXISTS', key('token', id)) == 0 then return 0 end
for name, value in pairs(fields) do redis.call('HSET', key('token', id), name, value) end
for _, name in ipairs(removed) do
  redis.call('HDEL', key('token', id), name)
  if name == 'expiresAt' then redis.call('ZREM', root .. ':token-ends', id) end
  if name == 'maxConcurrent' then limitOwner(id, nil) end
end
if fields.expiresAt then redis.call('ZADD', root .. ':token-ends', fields.expiresAt, id) end
if fields.maxConcurrent then limitOwner(id, fields.maxConcurrent) end
announce('changed', id)
return 1
