-- One batch of events, from the writer that holds the fence. Runs for every batch of a run: plain arguments.
-- Arguments: id, fence, first, last, digest, lines, '1' where it is stored also if Redis is full, '1' where events of
--   messages are among them
-- Answers: ok | stale | dup | gap:<lastSeq>: a batch is taken only from the holder of the fence and only where the log
--   ends
-- Sent again: yes; a batch that is already stored is dup

--- @include "../../platform/lua/include/exceed-memory.lua"
--- @include "../../platform/lua/include/key.lua"
--- @include "./include/holds-fence.lua"
--- @include "./include/last-seq.lua"
--- @include "./include/mark-messages.lua"
--- @include "./include/write.lua"

local function appendBatch(id, fence, first, last, digest, lines)
  if not holdsFence(id, fence) then return 'stale' end
  local current = lastSeq(id)
  local signature = table.concat({fence, first, last, digest}, ':')
  if first ~= current + 1 then
    if redis.call('HGET', key('log', id), 'lastBatch') == signature then return 'dup' end
    return 'gap:' .. current
  end
  write(id, last, lines)
  redis.call('HSET', key('log', id), 'lastBatch', signature)
  if ARGV[8] == '1' then markMessages(id, lines) end
  return 'ok'
end

if ARGV[7] == '1' then exceedMemory() end
return appendBatch(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6])
