-- The workspace that an execution waits for, or was woken for.

--- @include "./get.lua"

local function parkedOn(id) return get(id, 'parkedOn') or get(id, 'workspaceLock') end
