-- Whether exactly those approvals are pending that the caller has seen; closing: as settle-approvals.lua has it.

--- @include "./approval.lua"
--- @include "./open-approvals.lua"

local function seesApprovals(id, closing)
  local count = 0
  for _, entry in ipairs(closing or {}) do
    if entry.id then
      count = count + 1
      if redis.call('HGET', approval(entry.id), 'status') ~= 'pending' then return false end
    end
  end
  return count == #openApprovals(id)
end
