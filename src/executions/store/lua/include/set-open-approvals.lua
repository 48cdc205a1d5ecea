-- Writes the pending approvals of an execution, as open-approvals.lua reads them.

--- @include "./record.lua"
--- @include "./set.lua"

local function setOpenApprovals(id, ids)
  if #ids == 0 then redis.call('HDEL', record(id), 'openApprovals')
  else set(id, 'openApprovals', table.concat(ids, ' ')) end
end
