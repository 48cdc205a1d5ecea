-- An execution ends: whoever waits for its workspace gets it. → id, claim, priority of each

--- @include "./get.lua"
--- @include "./let-go.lua"
--- @include "./pass-on.lua"
--- @include "./places-of.lua"

local function releaseWorkspace(id)
  local names, workspace = placesOf(id), get(id, 'workspaceLock')
  if workspace then table.insert(names, 1, workspace) end
  local ready = letGo(id, names)
  for _, value in ipairs(passOn(get(id, 'parkedOn'))) do ready[#ready + 1] = value end
  return ready
end
