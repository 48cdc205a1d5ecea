-- An execution was woken for a workspace and has not taken it: the next in line may. → as wake-next

--- @include "./is-held.lua"
--- @include "./wake-next.lua"

local function passOn(name)
  if not name or isHeld(name) then return {} end
  return wakeNext(name)
end
