-- Ends a script with Redis' own error where Redis is at its maxmemory, before it has written anything: for what is of no
--   use without further writes.

--- @include "./root.lua"

local function needMemory() redis.call('SETRANGE', root .. ':nothing', 0, '') end
