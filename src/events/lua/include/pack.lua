-- A log that nobody writes to any more, as the one entry that whoever has ended it made of it: packed, and each of a
--   stream's nodes takes up to 4 KiB more than its content.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./last-seq.lua"

local function pack(id, packed)
  local events, draft = key('events', id), root .. ':events-draft'
  redis.call('XADD', draft, string.format('%d-0', lastSeq(id)), 'e', packed)
  redis.call('COPY', draft, events, 'REPLACE')
  redis.call('DEL', draft)
  redis.call('HSET', key('log', id), 'bytes', #packed)
end
