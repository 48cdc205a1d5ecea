-- All that is kept of an execution goes after a time.

--- @include "../../../../platform/lua/include/key.lua"

local function expire(id, milliseconds)
  for _, kind in ipairs({'execution', 'log', 'events', 'files', 'tasks', 'messages'}) do
    redis.call('PEXPIRE', key(kind, id), milliseconds)
  end
end
