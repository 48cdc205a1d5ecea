-- All that is kept of an execution goes after a time.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./approval-ids.lua"
--- @include "./approval.lua"
--- @include "./record.lua"

local function expire(id, milliseconds)
  for _, kept in ipairs({record(id), key('log', id), key('events', id), key('files', id), key('tasks', id)}) do
    redis.call('PEXPIRE', kept, milliseconds)
  end
  for _, each in ipairs(approvalIds(id)) do redis.call('PEXPIRE', approval(each), milliseconds) end
  redis.call('PEXPIRE', key('approvals-of', id), milliseconds)
end
