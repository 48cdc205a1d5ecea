-- A dropped message is to become a follow-up: whoever comes first makes it, from the record that was prepared. What is
--   attached to it goes along; for a while, as it is kept for good only with the record.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"

-- A day's budget that is used up may delay it until the day turns.
local OWED_MS = 2 * 24 * 60 * 60 * 1000

local function oweFollowUp(id, number)
  redis.call('ZADD', root .. ':owed', nowMs(), id .. ' ' .. number)
  local message = cjson.decode(redis.call('HGET', key('messages', id), number))
  if not message.attachments then return end
  local kept, own = key('attachments', id), key('attachments', message.followUpId)
  for _, each in ipairs(message.attachments) do
    local bytes = each.sha256 and redis.call('HGET', kept, each.sha256)
    if bytes then redis.call('HSET', own, each.sha256, bytes) end
  end
  redis.call('PEXPIRE', own, OWED_MS)
end
