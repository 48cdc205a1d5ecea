-- The hash of what an owner has reserved and spent on a day.

--- @include "../../../platform/lua/include/root.lua"

local function bookOf(kind, day, owner) return root .. ':budget:' .. kind .. ':' .. day .. ':' .. owner end
