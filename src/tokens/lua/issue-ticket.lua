-- Keeps a ticket until it is used or has expired. Where a token has as many as it may, the oldest goes.
-- Arguments: SHA-256 of the ticket, id of its token, what it stands for (JSON), milliseconds
-- Answers: when it ends (milliseconds since 1970)
-- Sent again: yes; a ticket is new with each request

--- @include "../../platform/lua/include/key.lua"
--- @constant TICKETS_LIMIT "../../protocol/limits.ts"

local digest, token, meaning, milliseconds = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
-- Several come within a millisecond, and the oldest must be known: of one reading of the clock.
local seconds, microseconds = unpack(redis.call('TIME'))
local now, fraction = seconds * 1000 + math.floor(microseconds / 1000), microseconds % 1000 / 1000
local open = key('tickets-of', token)
redis.call('ZREMRANGEBYSCORE', open, '-inf', now)
if redis.call('ZCARD', open) >= TICKETS_LIMIT then
  local oldest = redis.call('ZRANGE', open, 0, 0)[1]
  redis.call('DEL', key('ticket', oldest))
  redis.call('ZREM', open, oldest)
end
redis.call('SET', key('ticket', digest), meaning, 'PX', milliseconds)
redis.call('ZADD', open, now + milliseconds + fraction, digest)
redis.call('PEXPIRE', open, milliseconds)
return now + milliseconds
