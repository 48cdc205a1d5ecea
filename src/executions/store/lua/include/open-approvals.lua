-- The pending approvals of an execution, and of its list, as the records tell them: ids with a blank between.

--- @include "./get.lua"
--- @include "./record.lua"
--- @include "./set.lua"

local function openApprovals(id)
  local ids = {}
  for each in string.gmatch(get(id, 'openApprovals') or '', '%S+') do ids[#ids + 1] = each end
  return ids
end

local function setOpen(id, ids)
  if #ids == 0 then redis.call('HDEL', record(id), 'openApprovals')
  else set(id, 'openApprovals', table.concat(ids, ' ')) end
end

local function addOpen(id, added)
  local ids = openApprovals(id)
  ids[#ids + 1] = added
  setOpen(id, ids)
end

local function removeOpen(id, removed)
  local ids = {}
  for _, each in ipairs(openApprovals(id)) do
    if each ~= removed then ids[#ids + 1] = each end
  end
  setOpen(id, ids)
end
