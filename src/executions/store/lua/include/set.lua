-- Sets fields of a record.

--- @include "./record.lua"

local function set(id, ...) redis.call('HSET', record(id), ...) end
