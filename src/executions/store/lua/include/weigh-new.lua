-- As weigh, of a record that is not stored yet; and under which kind its money is counted.

--- @include "../../../../history/lua/include/weigh.lua"
--- @include "./kind-of.lua"

local function weighNew(owner, simulated, wantedBudget)
  local kind = kindOf(simulated)
  local taken, over = weigh(owner, kind, cjson.decode(wantedBudget))
  return taken, over, kind
end
