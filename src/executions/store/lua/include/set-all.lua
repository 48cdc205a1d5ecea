-- Sets fields of a record, from a table.

--- @include "./set.lua"

local function setAll(id, fields)
  local all = {}
  for field, value in pairs(fields) do
    all[#all + 1] = field
    all[#all + 1] = value
  end
  if #all > 0 then set(id, unpack(all)) end
end
