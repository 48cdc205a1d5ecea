-- Waits outside the queue until a workspace is free.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"
--- @include "./leave-turn.lua"
--- @include "./set.lua"

local function park(id, name)
  local score = get(id, 'score')
  redis.call('ZREM', root .. ':waiting', id)
  leaveTurn(id)
  redis.call('ZADD', root .. ':parked', score, id)
  redis.call('ZADD', key('parked', name), score, id)
  set(id, 'waitingFor', 'workspace', 'parkedOn', name)
end
