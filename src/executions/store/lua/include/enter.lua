-- A transition, where the table allows it. → whether it did, and the state before

--- @constant TRANSITIONS "../../../records/execution-state.ts"
--- @include "./get.lua"
--- @include "./set.lua"

local function enter(id, to)
  local from = get(id, 'state')
  if not from or not TRANSITIONS[from][to] then return false, from or 'missing' end
  set(id, 'state', to)
  return true, from
end
