-- A follow-up takes the session over, where the one before it has ended. → {id, claim, priority} or {}, whether it
--   never can

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./begin-deadline.lua"
--- @include "./enter-queue.lua"
--- @include "./enter-session.lua"
--- @include "./get.lua"
--- @include "./is-orphan.lua"
--- @include "./is-over.lua"
--- @include "./record.lua"
--- @include "./set.lua"

local function takeOver(id)
  local before = get(id, 'follows')
  if not before or get(id, 'state') ~= 'queued' then return {}, false end
  if not isOver(before) then return {}, false end
  if isOrphan(id) then return {}, true end
  local session = get(before, 'sessionId')
  if redis.call('EXISTS', key('forks', session)) == 1 then return {}, false end
  redis.call('ZREM', root .. ':following', id)
  redis.call('HDEL', record(id), 'follows', 'waitingFor')
  set(id, 'resumedFrom', before, 'sourceSession', session, 'sessionId', session)
  enterSession(id, session)
  beginDeadline(id)
  enterQueue(id, get(id, 'score'))
  return {id, redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}, false
end
