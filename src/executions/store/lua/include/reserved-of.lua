-- By unit: what is reserved for an execution, what was booked of it before, and what it might spend before that.

--- @include "./get.lua"

local function reservedOf(id)
  local units = {}
  for _, unit in ipairs({'usd', 'tokens'}) do
    units[unit] = {
      amount = tonumber(get(id, 'reserved:' .. unit)),
      booked = tonumber(get(id, 'booked:' .. unit) or '0'),
      base = tonumber(get(id, 'base:' .. unit)),
    }
  end
  return units
end
