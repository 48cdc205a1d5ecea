-- The first event of a log, without its seq. Redis allocates 4 KiB for the first node of a stream, of which an
--   execution that waits needs a tenth; a copy is as large as its content. It is not published: nobody follows what was
--   not there, and who begins to reads the log.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local function writeFirst(id, event)
  local lines, draft = '{"seq":1,' .. event, root .. ':events-draft'
  redis.call('XADD', key('events', id), '1-0', 'e', lines)
  redis.call('COPY', key('events', id), draft, 'REPLACE')
  redis.call('RENAME', draft, key('events', id))
  redis.call('HSET', key('log', id), 'lastSeq', 1, 'bytes', #lines)
end
