-- Where an Idempotency-Key is reserved (nil: there is none), and the answer to a submission where it is known already.

--- @include "../../../../platform/lua/include/root.lua"

local function findReserved(owner, name, digest)
  if not name or name == '' then return nil end
  local reservation = root .. ':idempotency:' .. owner .. ':' .. name
  local known = redis.call('GET', reservation)
  if not known then return reservation end
  local knownId, knownDigest = string.match(known, '^(%S+) (%S+)$')
  return reservation, {knownDigest == digest and 'replayed' or 'conflict', knownId}
end
