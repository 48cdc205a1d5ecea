-- Where logs end.
-- Arguments: ids
-- Answers: the last seq of each, -1 where there is no log
-- Sent again: yes; writes nothing

--- @include "../../platform/lua/include/key.lua"

local ends = {}
for index, id in ipairs(ARGV) do
  ends[index] = tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '-1')
end
return ends
