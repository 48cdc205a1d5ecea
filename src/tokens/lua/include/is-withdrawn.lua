-- Whether a token that the API made is gone or has expired: asked in the step that accepts something of it, so that
--   nothing is accepted after its revocation was confirmed, whichever process still knows it. Configured tokens are not
--   kept here; none has an id like these.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"

local function isWithdrawn(id)
  if #id ~= 36 or not string.find(id, '^tok_%x+$') then return false end
  local digest, expiresAt = unpack(redis.call('HMGET', key('token', id), 'sha256', 'expiresAt'))
  return not digest or (expiresAt and tonumber(expiresAt) <= nowMs()) or false
end
