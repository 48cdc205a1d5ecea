-- The workspace of a parked execution is free: the one that has waited longest may be queued again.
-- Arguments: id
-- Answers: {id, claim, priority} or {}
-- Sent again: yes; an answer that was lost leaves a queued record without a job, which the sweep repairs

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/holds-workspace.lua"
--- @include "./include/wake-next.lua"

local workspace = get(ARGV[1], 'workspaceLock')
if not workspace then
  redis.call('ZREM', root .. ':parked', ARGV[1])
  return {}
end
local holder = redis.call('GET', key('workspace', workspace))
if holder and holdsWorkspace(holder) then return {} end
return wakeNext(workspace)
