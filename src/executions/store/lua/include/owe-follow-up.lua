-- A dropped message is to become a follow-up: whoever comes first makes it, from the record that was prepared.

--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"

local function oweFollowUp(id, number) redis.call('ZADD', root .. ':owed', nowMs(), id .. ' ' .. number) end
