-- Folders are needed until the last execution that uses them is forgotten.

--- @include "../../../../platform/lua/include/key.lua"

local function expireFolders(host)
  local folders = key('folders', host)
  if redis.call('ZCOUNT', folders, 0, 0) > 0 then return end
  local last = redis.call('ZRANGE', folders, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', folders, math.ceil(tonumber(last[2]))) end
end
