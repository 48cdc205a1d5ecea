-- Uncounts what a finished execution takes that is forgotten, and removes the tokens that were for it alone.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../tokens/lua/include/drop-tokens-of.lua"

local function release(id)
  dropTokensOf(id)
  local bytes = redis.call('HGET', root .. ':finished-bytes', id)
  redis.call('ZREM', root .. ':finished', id)
  redis.call('HDEL', root .. ':finished-bytes', id)
  if bytes and redis.call('DECRBY', root .. ':finished-total', bytes) <= 0 then
    redis.call('DEL', root .. ':finished-total')
  end
end
