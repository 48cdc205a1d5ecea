-- Whose folders one uses that joined a conversation: HOME is that of the first execution; its workspace, where that is
--   a fresh one,
-- may be its task list's.

--- @include "./get.lua"
--- @include "./is-fresh.lua"

local function hostsOf(id)
  local home, workspace = get(id, 'home'), get(id, 'workspace')
  if not home then return {} end
  local hasOther = workspace ~= home and isFresh(workspace)
  return {home, hasOther and workspace or nil}
end
