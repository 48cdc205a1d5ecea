-- Every approval of an execution, oldest first.

--- @include "../../../../platform/lua/include/key.lua"

local function approvalIds(id) return redis.call('ZRANGE', key('approvals-of', id), 0, -1) end
