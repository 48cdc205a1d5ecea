-- Pieces of what a run left in its workspace: only the holder of the fence may say what that is. Values are bytes:
--   plain arguments.
-- Arguments: id, fence, ttl ms, then field, value …
-- Answers: ok | stale
-- Sent again: yes; a field that is known is stored again and not counted

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/key.lua"

local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return 'stale' end
for index = 4, #ARGV, 2 do
  -- Sent again, as the driver does when a connection broke, a field is not new and not counted.
  if redis.call('HSET', key('files', id), ARGV[index], ARGV[index + 1]) == 1 then
    redis.call('HINCRBY', key('files', id), 'bytes', #ARGV[index + 1])
  end
end
redis.call('PEXPIRE', key('files', id), ARGV[3])
return 'ok'
