-- An execution, or a task list, has these workspaces from now on.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./folders-above.lua"

local function holdFolders(owner, names)
  for _, name in ipairs(names) do
    redis.call('SET', key('workspace', name), owner)
    for _, above in ipairs(foldersAbove(name)) do redis.call('SADD', key('within', above), name) end
  end
end
