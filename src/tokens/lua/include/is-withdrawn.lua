-- Whether a token that the API made is gone or has expired: asked in the step that accepts something of it, so that
--   nothing is accepted after its revocation was confirmed, whichever process still knows it.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./is-made.lua"

local function isWithdrawn(id)
  if not isMade(id) then return false end
  local digest, expiresAt = unpack(redis.call('HMGET', key('token', id), 'sha256', 'expiresAt'))
  return not digest or (expiresAt and tonumber(expiresAt) <= nowMs()) or false
end
