-- A new fence for a log: whoever held the old one is refused from now on. → fence

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local function takeFence(id)
  local fence = redis.call('INCR', root .. ':fence')
  redis.call('HSET', key('log', id), 'fence', fence)
  return tostring(fence)
end
