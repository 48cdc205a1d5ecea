-- How many of the places that the queue's limit counts are taken.

--- @include "../../../../platform/lua/include/root.lua"

local function countQueued()
  local queued = 0
  for _, list in ipairs({'waiting', 'parked', 'delayed', 'following'}) do
    queued = queued + redis.call('ZCARD', root .. ':' .. list)
  end
  return queued
end
