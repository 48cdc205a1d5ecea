-- What a finished execution takes, its tasks included, is counted with its end, and uncounted once, with whatever
--   removes it (release.lua).

--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./size-of.lua"
--- @include "./task-ids.lua"

local function retain(id)
  local bytes = sizeOf(id)
  for _, task in ipairs(taskIds(id)) do bytes = bytes + sizeOf(task) end
  redis.call('ZADD', root .. ':finished', nowMs(), id)
  redis.call('HSET', root .. ':finished-bytes', id, bytes)
  redis.call('INCRBY', root .. ':finished-total', bytes)
end
