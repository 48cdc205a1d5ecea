-- An approval is one of the pending ones no more.

--- @include "./open-approvals.lua"
--- @include "./set-open-approvals.lua"

local function removeOpenApproval(id, removed)
  local ids = {}
  for _, each in ipairs(openApprovals(id)) do
    if each ~= removed then ids[#ids + 1] = each end
  end
  setOpenApprovals(id, ids)
end
