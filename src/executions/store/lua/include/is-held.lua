-- Whether somebody else has this workspace.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./holds-workspace.lua"

local function isHeld(name, owner)
  local holder = redis.call('GET', key('workspace', name))
  return holder and holder ~= owner and holdsWorkspace(holder)
end
