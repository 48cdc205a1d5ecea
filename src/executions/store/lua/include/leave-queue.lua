-- Takes an execution out of every list of those that wait.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./leave-turn.lua"
--- @include "./parked-on.lua"

local function leaveQueue(id)
  for _, list in ipairs({'waiting', 'parked', 'delayed', 'due', 'deadlines', 'following'}) do
    redis.call('ZREM', root .. ':' .. list, id)
  end
  leaveTurn(id)
  local workspace = parkedOn(id)
  if workspace then redis.call('ZREM', key('parked', workspace), id) end
end
