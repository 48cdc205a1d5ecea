-- The key of its Idempotency-Key, unless that has expired and leads to another execution by now.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"

local function reservationOf(id)
  local name = get(id, 'idempotencyKey')
  local reservation = name and root .. ':idempotency:' .. get(id, 'owner') .. ':' .. name
  local known = reservation and redis.call('GET', reservation)
  return known and string.match(known, '^%S+') == id and reservation
end
