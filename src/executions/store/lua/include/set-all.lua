-- Sets fields of a record, from a table.

--- @include "./set.lua"

local function setAll(id, fields)
  for field, value in pairs(fields) do set(id, field, value) end
end
