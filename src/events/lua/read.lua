-- The entries of a log after a cursor. Runs for every reader: plain arguments.
-- Arguments: id, after, maxBytes
-- Answers: {lastSeq, entries…}: at least one entry if there is any, then as many as fit in maxBytes; {-1} where there
--   is no log
-- Sent again: yes; writes nothing

--- @include "../../platform/lua/include/key.lua"

local id, maxBytes = ARGV[1], tonumber(ARGV[3])
local last = redis.call('HGET', key('log', id), 'lastSeq')
if not last then return {-1} end
local answer, size, cursor = {tonumber(last)}, 0, '(' .. ARGV[2] .. '-0'
while size < maxBytes do
  local entries = redis.call('XRANGE', key('events', id), cursor, '+', 'COUNT', 16)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    local lines = entry[2][2]
    if size > 0 and size + #lines > maxBytes then return answer end
    answer[#answer + 1] = lines
    size = size + #lines
    cursor = '(' .. entry[1]
  end
end
return answer
