-- Removes a finished execution and its tasks. Its Idempotency-Key stays: what was asked for once is not run again
--   because its record had to go.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../tokens/lua/include/drop-tokens-of.lua"
--- @include "./forget-owner.lua"
--- @include "./leave-session.lua"
--- @include "./record.lua"
--- @include "./release.lua"
--- @include "./task-ids.lua"

local function forget(id, owner)
  release(id)
  leaveSession(id)
  for _, task in ipairs(taskIds(id)) do
    leaveSession(task)
    dropTokensOf(task)
    redis.call('DEL', record(task), key('log', task), key('events', task), key('files', task))
  end
  redis.call('DEL', record(id), key('log', id), key('events', id), key('files', id), key('tasks', id))
  redis.call('ZREM', root .. ':index', id)
  redis.call('ZREM', key('index', owner), id)
  forgetOwner(owner)
end
