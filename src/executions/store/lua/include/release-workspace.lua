-- Whoever waits for the workspace of an execution gets it. → as wake-next

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./get.lua"
--- @include "./wake-next.lua"

local function releaseWorkspace(id)
  local workspace = get(id, 'workspaceLock')
  if not workspace or redis.call('GET', key('workspace', workspace)) ~= id then return {} end
  redis.call('DEL', key('workspace', workspace))
  return wakeNext(workspace)
end
