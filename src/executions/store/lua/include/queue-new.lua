-- A new record takes its place in the queue, and its log begins. The event comes in two pieces: between them stands the
--   position.

--- @include "../../../../events/lua/include/write-next.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-queue.lua"
--- @include "./get.lua"
--- @include "./position-of.lua"
--- @include "./set-all.lua"

local function queueNew(id, score, new)
  setAll(id, new.fields)
  enterQueue(id, score)
  local deadline = get(id, 'queueDeadline')
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = positionOf(id)
  writeNext(id, new.before .. position .. new.after)
  return position
end
