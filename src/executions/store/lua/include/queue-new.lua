-- A record of this owner that has been written takes its place in the queue, and its log begins. The event comes in
--   two pieces: between them stands the position.

--- @include "../../../../events/lua/include/write-first.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-queue.lua"
--- @include "./position-of.lua"

local function queueNew(id, score, owner, new)
  enterQueue(id, score, owner)
  local deadline = new.fields.queueDeadline
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = positionOf(id, score, owner)
  writeFirst(id, new.before .. position .. new.after)
  return position
end
