-- The limit of a credential is reached; a later end counts. The key goes when the last limit is over.
-- Arguments: name, until (ms)
-- Answers: {}
-- Sent again: yes

--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"

local blocked, until_ = root .. ':blocked', tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', blocked, '-inf', nowMs())
redis.call('ZADD', blocked, 'GT', until_, ARGV[1])
local last = redis.call('ZRANGE', blocked, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', blocked, math.ceil(tonumber(last[2])))
return {}
