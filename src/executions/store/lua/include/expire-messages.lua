-- Messages to an execution that has ended live as long as its record. That of a task of a list that goes on has no end
--   yet: its list gives it one.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./record.lua"

local function expireMessages(id)
  local restMs = redis.call('PTTL', record(id))
  if restMs > 0 then redis.call('PEXPIRE', key('messages', id), restMs) end
end
