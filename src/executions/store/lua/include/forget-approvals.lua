-- Removes the approvals of an execution.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./approval-ids.lua"
--- @include "./approval.lua"

local function forgetApprovals(id)
  for _, each in ipairs(approvalIds(id)) do
    local owner = redis.call('HGET', approval(each), 'owner')
    redis.call('ZREM', root .. ':closed-approvals', each)
    if owner then redis.call('ZREM', key('closed-approvals', owner), each) end
    redis.call('DEL', approval(each))
  end
  redis.call('DEL', key('approvals-of', id))
end
