-- The key of one kind and id.

--- @include "./root.lua"

local function key(kind, id) return root .. ':' .. kind .. ':' .. id end
