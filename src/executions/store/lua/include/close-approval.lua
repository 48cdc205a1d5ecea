-- An approval is no longer pending; its holder sees by `approvalsClosed` that there is something to read.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./approval.lua"
--- @include "./get.lua"
--- @include "./record.lua"
--- @include "./remove-open-approval.lua"

local function closeApproval(id, status, ...)
  local execution, owner = unpack(redis.call('HMGET', approval(id), 'executionId', 'owner'))
  redis.call('HSET', approval(id), 'status', status, ...)
  redis.call('ZREM', root .. ':approval-deadlines', id)
  redis.call('ZREM', root .. ':open-approvals', id)
  redis.call('ZREM', key('open-approvals', owner), id)
  redis.call('ZADD', root .. ':closed-approvals', 0, id)
  redis.call('ZADD', key('closed-approvals', owner), 0, id)
  redis.call('HINCRBY', record(execution), 'approvalsClosed', 1)
  removeOpenApproval(execution, id)
  local list = get(execution, 'parentId')
  if list then removeOpenApproval(list, id) end
end
