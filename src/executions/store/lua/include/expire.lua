-- All that is kept of an execution goes after a time.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./approval-ids.lua"
--- @include "./approval.lua"

local function expire(id, milliseconds)
  for _, kind in ipairs({'execution', 'log', 'events', 'files', 'tasks', 'messages'}) do
    redis.call('PEXPIRE', key(kind, id), milliseconds)
  end
  for _, each in ipairs(approvalIds(id)) do redis.call('PEXPIRE', approval(each), milliseconds) end
  redis.call('PEXPIRE', key('approvals-of', id), milliseconds)
end
