-- These workspaces are free again, as far as this execution has them: whoever waits for one gets it. → id, claim,
--   priority of each

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./folders-above.lua"
--- @include "./wake-next.lua"

local function letGo(id, names)
  local ready = {}
  for _, name in ipairs(names) do
    if redis.call('GET', key('workspace', name)) == id then
      redis.call('DEL', key('workspace', name))
      for _, above in ipairs(foldersAbove(name)) do redis.call('SREM', key('within', above), name) end
      for _, value in ipairs(wakeNext(name)) do ready[#ready + 1] = value end
    end
  end
  return ready
end
