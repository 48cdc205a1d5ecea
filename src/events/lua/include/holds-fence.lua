-- Whether a fence is the current one of a log.

--- @include "../../../platform/lua/include/key.lua"

local function holdsFence(id, fence) return redis.call('HGET', key('log', id), 'fence') == fence end
