-- The queueTimeoutSeconds of a follow-up count from the moment at which it could start.

--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"
--- @include "./set.lua"

local function beginDeadline(id)
  local limit = get(id, 'queueTimeoutMs')
  if not limit then return end
  local deadline = nowMs() + tonumber(limit)
  set(id, 'queueDeadline', deadline)
  redis.call('ZADD', root .. ':deadlines', deadline, id)
end
