-- Takes its place in the queue.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-turn.lua"

local function enterQueue(id, score, owner)
  redis.call('ZADD', root .. ':waiting', score, id)
  enterTurn(id, score, owner)
end
