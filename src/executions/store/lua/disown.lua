-- A named workspace that nobody has used since, and whose folder is gone, is nobody's again.
-- Arguments: name, ms: when it was used last at the latest
-- Answers: 1 | 0
-- Sent again: yes; the second time it answers 0

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/folders-above.lua"

local name = ARGV[1]
local used = redis.call('ZSCORE', root .. ':workspaces-used', name)
if not used or tonumber(used) > tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', root .. ':workspaces-used', name)
local owner = redis.call('HGET', root .. ':workspace-owners', name)
if not owner then return 0 end
redis.call('HDEL', root .. ':workspace-owners', name)
for _, folder in ipairs(foldersAbove(name)) do
  local within = key('owned-within', folder)
  if redis.call('HINCRBY', within, owner, -1) <= 0 then redis.call('HDEL', within, owner) end
end
return 1
