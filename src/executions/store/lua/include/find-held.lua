-- A workspace excludes the folders that contain it and those that lie in it. → the one that somebody else has | nil

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./folders-above.lua"
--- @include "./is-held.lua"

local function findHeld(owner, names)
  for _, name in ipairs(names) do
    if isHeld(name, owner) then return name end
    for _, above in ipairs(foldersAbove(name)) do
      if isHeld(above, owner) then return above end
    end
    for _, below in ipairs(redis.call('SMEMBERS', key('within', name))) do
      if isHeld(below, owner) then return below end
    end
  end
end
