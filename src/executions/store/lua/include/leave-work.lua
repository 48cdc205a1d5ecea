-- It is at work no more. → whether it was

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./get.lua"

local function leaveWork(id)
  local owner = get(id, 'owner')
  return owner and redis.call('SREM', key('active', owner), id) == 1
end
