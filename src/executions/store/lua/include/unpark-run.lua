-- A parked execution goes on. next: {event, queueDeadline? (ms)} → claim, priority

--- @include "../../../../events/lua/include/write-next.lua"
--- @include "./enter.lua"
--- @include "./leave-rest.lua"
--- @include "./requeue-attempt.lua"

local function unparkRun(id, next)
  enter(id, 'queued')
  writeNext(id, next.event)
  leaveRest(id)
  return requeueAttempt(id, {queueDeadline = next.queueDeadline})
end
