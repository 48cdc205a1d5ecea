-- Whose folders one uses that joined a conversation: HOME is that of the first execution; its workspace, where that is
--   a fresh one,
-- may be its task list's.

--- @include "./get.lua"

local function hostsOf(id)
  local home, workspace = get(id, 'home'), get(id, 'workspace')
  if not home then return {} end
  local isFresh = workspace ~= home and string.match(workspace, '^%x+%-%x+%-%x+%-%x+%-%x+$')
  return {home, isFresh and workspace or nil}
end
