-- The pending approvals of an execution, and of its list, as the records tell them: ids with a blank between.

--- @include "./get.lua"

local function openApprovals(id)
  local ids = {}
  for each in string.gmatch(get(id, 'openApprovals') or '', '%S+') do ids[#ids + 1] = each end
  return ids
end
