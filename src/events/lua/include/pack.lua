-- A log that nobody writes to any more, as one entry: each of a stream's nodes takes up to 4 KiB more than its content,
--   which for most runs is as much as the content itself. A longer one stays as it is: an entry is read as a whole.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local PACKED_BYTES = 32 * 1024

local function pack(id)
  local events, draft = key('events', id), root .. ':events-draft'
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or PACKED_BYTES + 1)
  if bytes > PACKED_BYTES then return end
  local lines, last = {}, nil
  for index, entry in ipairs(redis.call('XRANGE', events, '-', '+')) do
    last, lines[index] = entry[1], string.gsub(entry[2][2], '\n$', '')
  end
  if not last then return end
  redis.call('XADD', draft, last, 'e', table.concat(lines, '\n'))
  redis.call('COPY', draft, events, 'REPLACE')
  redis.call('DEL', draft)
end
