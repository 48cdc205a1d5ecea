-- A transition, where the table allows it. → whether it did, and the state before

--- @constant TRANSITIONS "../../../records/execution-state.ts"
--- @include "../../../../platform/lua/include/key.lua"
--- @include "./get.lua"
--- @include "./set.lua"

local function enter(id, to)
  local from = get(id, 'state')
  if not from or not TRANSITIONS[from][to] then return false, from or 'missing' end
  set(id, 'state', to)
  -- Its claim is not sent again any more.
  local job = from == 'starting' and get(id, 'job')
  if job then redis.call('DEL', key('job', job)) end
  return true, from
end
