-- Uncounts what a finished execution takes.

--- @include "../../../../platform/lua/include/root.lua"

local function release(id)
  local bytes = redis.call('HGET', root .. ':finished-bytes', id)
  redis.call('ZREM', root .. ':finished', id)
  redis.call('HDEL', root .. ':finished-bytes', id)
  if bytes and redis.call('DECRBY', root .. ':finished-total', bytes) <= 0 then
    redis.call('DEL', root .. ':finished-total')
  end
end
