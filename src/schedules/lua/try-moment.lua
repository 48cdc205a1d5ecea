-- When the next moment was first tried and its request refused with an error that may pass.
-- Arguments: id, after, revision
-- Answers: milliseconds since 1970 | '' where it has moved
-- Sent again: yes

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/now-ms.lua"
--- @include "./include/stands-at.lua"

local id = ARGV[1]
if not standsAt(id, ARGV[2], ARGV[3]) then return '' end
redis.call('HSETNX', key('schedule', id), 'triedAt', nowMs())
return tonumber(redis.call('HGET', key('schedule', id), 'triedAt'))
