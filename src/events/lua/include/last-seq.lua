-- The seq of the last event of a log, 0 where it has none.

--- @include "../../../platform/lua/include/key.lua"

local function lastSeq(id) return tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '0') end
