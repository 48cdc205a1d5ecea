-- Sets fields of a record from JSON.

--- @include "./set.lua"

local function setAll(id, json)
  for field, value in pairs(cjson.decode(json)) do set(id, field, value) end
end
