-- The folders of a conversation are kept for an execution that is to go on with it.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./hosts-of.lua"

local function needFolders(id)
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), 0, id)
    redis.call('PERSIST', key('folders', host))
  end
end
