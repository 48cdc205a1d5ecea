-- A new record takes its place in the queue, and its log begins. The event comes in two pieces: between them stands the
--   position.

--- @include "../../../../events/lua/include/write-next.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"
--- @include "./set-all.lua"

local function queueNew(id, score, new)
  setAll(id, new.fields)
  redis.call('ZADD', root .. ':waiting', score, id)
  local deadline = get(id, 'queueDeadline')
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = redis.call('ZRANK', root .. ':waiting', id) + 1
  writeNext(id, new.before .. position .. new.after)
  return position
end
