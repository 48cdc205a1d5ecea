-- The entries of a log after a cursor. Runs for every reader: plain arguments.
-- Arguments: id, after, maxBytes, limit: of events, 0 where only maxBytes counts
-- Answers: {lastSeq, bytes of an average entry, entries…}: at least one entry if there is any, then as many as fit in
--   maxBytes; with a limit the first and the last entry are cut to the events that are asked for, but for a log that is
--   packed; {-1, 0} where there is no log
-- Sent again: yes; writes nothing

--- @include "../../platform/lua/include/key.lua"

-- The lines of an entry behind so many, and at most so many: a page of a hundred needs half of what an entry holds.
local function cut(lines, skipped, taken)
  local start = 1
  for _ = 1, skipped do start = string.find(lines, '\n', start, true) + 1 end
  local stop = start - 1
  for _ = 1, taken do
    stop = string.find(lines, '\n', stop + 1, true)
    if not stop then return string.sub(lines, start) end
  end
  return string.sub(lines, start, stop - 1)
end

-- What does not begin with one is packed: the only entry of its log.
local BRACE = 123

local id, after, maxBytes, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local log = redis.call('HMGET', key('log', id), 'lastSeq', 'bytes')
if not log[1] then return {-1, 0} end
local average = tonumber(log[2] or '0') / math.max(1, redis.call('XLEN', key('events', id)))
local answer, size, cursor = {tonumber(log[1]), math.floor(average)}, 0, '(' .. ARGV[2] .. '-0'
-- One at first: an entry is up to 64 KiB, and costs Redis ten times as much in a script as by itself (100 us instead of
-- 10): none is fetched in vain.
local count = 1
while size < maxBytes do
  local asked = count
  local entries = redis.call('XRANGE', key('events', id), cursor, '+', 'COUNT', count)
  for _, entry in ipairs(entries) do
    local lines = entry[2][2]
    if size > 0 and size + #lines > maxBytes then return answer end
    local events = 0
    local entryLast = tonumber(string.match(entry[1], '^%d+'))
    if limit > 0 and string.byte(lines) == BRACE then
      local first = tonumber(string.match(lines, '^{"seq":(%d+)'))
      events = entryLast - first + 1
      if first <= after or entryLast > after + limit then
        local skipped = math.max(0, after + 1 - first)
        lines = cut(lines, skipped, after + limit - (first + skipped) + 1)
      end
    end
    answer[#answer + 1] = lines
    if limit > 0 and entryLast >= after + limit then return answer end
    size = size + math.max(#lines, 1)
    cursor = '(' .. entry[1]
    -- As many as are likely to fit, going by those so far.
    count = math.floor((maxBytes - size) * (#answer - 2) / size)
    if events > 0 then count = math.min(count, math.ceil((after + limit - entryLast) / events)) end
    count = math.max(1, math.min(64, count))
  end
  if #entries < asked then break end
end
return answer
