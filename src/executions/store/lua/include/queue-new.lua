-- A record that has been written takes its place in the queue, and its log begins. The event comes in two pieces:
--   between them stands the position.

--- @include "../../../../events/lua/include/write-first.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-queue.lua"
--- @include "./position-of.lua"

local function queueNew(id, score, new)
  enterQueue(id, score)
  local deadline = new.fields.queueDeadline
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = positionOf(id)
  writeFirst(id, new.before .. position .. new.after)
  return position
end
