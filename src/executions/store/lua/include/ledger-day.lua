-- The day of its reservation; that of its creation where it reserved nothing. nil: there is no record.

--- @constant DAY_MS "../../../../history/units.ts"
--- @include "../../../../history/lua/include/whole.lua"
--- @include "./get.lua"

local function ledgerDay(id)
  local created = tonumber(get(id, 'createdAt'))
  return get(id, 'ledgerDay') or (created and whole(math.floor(created / DAY_MS)))
end
