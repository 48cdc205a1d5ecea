-- Removes a finished execution and its tasks. Its Idempotency-Key stays: what was asked for once is not run again
--   because its record had to go.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../tokens/lua/include/drop-tokens-of.lua"
--- @include "./forget-approvals.lua"
--- @include "./forget-owner.lua"
--- @include "./leave-session.lua"
--- @include "./release.lua"
--- @include "./task-ids.lua"

local function forget(id, owner)
  release(id)
  leaveSession(id)
  for _, task in ipairs(taskIds(id)) do
    leaveSession(task)
    dropTokensOf(task)
    forgetApprovals(task)
    for _, kind in ipairs({'execution', 'log', 'events', 'files', 'messages'}) do redis.call('DEL', key(kind, task)) end
  end
  forgetApprovals(id)
  for _, kind in ipairs({'execution', 'log', 'events', 'files', 'tasks', 'messages'}) do
    redis.call('DEL', key(kind, id))
  end
  redis.call('ZREM', root .. ':index', id)
  redis.call('ZREM', key('index', owner), id)
  forgetOwner(owner)
end
