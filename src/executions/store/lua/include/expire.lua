-- All that is kept of an execution goes after a time.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./record.lua"

local function expire(id, milliseconds)
  for _, kept in ipairs({record(id), key('log', id), key('events', id), key('files', id), key('tasks', id)}) do
    redis.call('PEXPIRE', kept, milliseconds)
  end
end
