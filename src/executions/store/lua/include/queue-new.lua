-- A record that has been written takes its place in the queue, and its log begins. The event comes in two pieces:
--   between them stands the position.

--- @include "../../../../events/lua/include/write-first.lua"
--- @include "../../../../platform/lua/include/root.lua"

local function queueNew(id, score, new)
  redis.call('ZADD', root .. ':waiting', score, id)
  local deadline = new.fields.queueDeadline
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = redis.call('ZRANK', root .. ':waiting', id) + 1
  writeFirst(id, new.before .. position .. new.after)
  return position
end
