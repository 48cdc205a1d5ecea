-- How many a token may have at work, for the scripts that claim. most: nil removes the limit.

--- @include "../../../platform/lua/include/root.lua"

local function limitOwner(id, most)
  if most then redis.call('HSET', root .. ':owner-limits', id, most)
  else redis.call('HDEL', root .. ':owner-limits', id) end
end
