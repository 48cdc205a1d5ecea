-- A further approval is pending.

--- @include "./open-approvals.lua"
--- @include "./set-open-approvals.lua"

local function addOpenApproval(id, added)
  local ids = openApprovals(id)
  ids[#ids + 1] = added
  setOpenApprovals(id, ids)
end
