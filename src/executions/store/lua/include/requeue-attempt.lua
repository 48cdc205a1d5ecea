-- Its next attempt waits for its turn, or for a time, and is given up at another. → claim, priority
-- next: {notBefore? (ms), queueDeadline? (ms)}

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-queue.lua"
--- @include "./get.lua"
--- @include "./record.lua"
--- @include "./set.lua"

local function requeueAttempt(id, next)
  if next.notBefore then
    set(id, 'notBefore', next.notBefore)
    redis.call('ZADD', root .. ':delayed', get(id, 'score'), id)
    redis.call('ZADD', root .. ':due', next.notBefore, id)
  else
    enterQueue(id, get(id, 'score'))
  end
  if next.queueDeadline then
    set(id, 'queueDeadline', next.queueDeadline)
    redis.call('ZADD', root .. ':deadlines', next.queueDeadline, id)
  end
  return redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')
end
