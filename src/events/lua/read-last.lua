-- The newest entry of a log.
-- Arguments: id
-- Answers: {lastSeq, entry?}; {-1} where there is no log
-- Sent again: yes; writes nothing

--- @include "../../platform/lua/include/key.lua"

local id = ARGV[1]
local last = redis.call('HGET', key('log', id), 'lastSeq')
if not last then return {-1} end
local entry = redis.call('XREVRANGE', key('events', id), '+', '-', 'COUNT', 1)[1]
return {tonumber(last), entry and entry[2][2]}
