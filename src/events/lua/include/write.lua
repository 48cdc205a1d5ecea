-- Writes a batch and publishes it. An entry's id is its last seq, so the entries after a cursor c are exactly those
--   with an id above c-0.

--- @include "../../../platform/lua/include/key.lua"

local function write(id, last, lines)
  redis.call('XADD', key('events', id), string.format('%d-0', last), 'e', lines)
  redis.call('HSET', key('log', id), 'lastSeq', last)
  redis.call('HINCRBY', key('log', id), 'bytes', #lines)
  redis.call('PUBLISH', key('channel', id), lines)
end
