-- A field of a record, false where it is not there.

--- @include "./record.lua"

local function get(id, field) return redis.call('HGET', record(id), field) end
