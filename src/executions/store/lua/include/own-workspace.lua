-- A named workspace belongs to the token that made it first, and so do the folders in it; one that contains somebody
--   else's is nobody's to take. Fresh ones, absolute paths and those that the operator shares have no owner.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./folders-above.lua"
--- @include "./is-fresh.lua"

local function isOwnable(name, shared)
  if not name or string.sub(name, 1, 1) == '/' or isFresh(name) then return false end
  for _, folder in ipairs(shared) do
    if name == folder or string.sub(name, 1, #folder + 1) == folder .. '/' then return false end
  end
  return true
end

local function isOwnedByOther(owner, name, shared)
  if not isOwnable(name, shared) then return false end
  local folders = foldersAbove(name)
  folders[#folders + 1] = name
  for _, folder in ipairs(folders) do
    local first = redis.call('HGET', root .. ':workspace-owners', folder)
    if first and first ~= owner and isOwnable(folder, shared) then return true end
  end
  -- How many of each owner there are; the set is that of earlier releases, which did not count.
  for _, other in ipairs(redis.call('HKEYS', key('owned-within', name))) do
    if other ~= owner then return true end
  end
  for _, other in ipairs(redis.call('SMEMBERS', key('owners-within', name))) do
    if other ~= owner then return true end
  end
  return false
end

local function ownWorkspace(owner, name, shared)
  if not isOwnable(name, shared) then return end
  redis.call('ZADD', root .. ':workspaces-used', nowMs(), name)
  if redis.call('HSETNX', root .. ':workspace-owners', name, owner) == 0 then return end
  for _, folder in ipairs(foldersAbove(name)) do redis.call('HINCRBY', key('owned-within', folder), owner, 1) end
end
