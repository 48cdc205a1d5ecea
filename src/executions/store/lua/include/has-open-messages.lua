-- Whether something is still to be written about messages before an execution may end.

--- @include "../../../../platform/lua/include/key.lua"

local function hasOpenMessages(id)
  local open, noted, count = unpack(redis.call('HMGET', key('messages', id), 'open', 'noted', 'count'))
  return count and (tonumber(open or '0') > 0 or noted ~= count)
end
