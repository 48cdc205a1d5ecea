-- The holder of the fence extends its lease and hears what was requested. Runs several times in each lease: plain
--   arguments.
-- Arguments: id, fence, lease ms, usage JSON or ''
-- Answers: ok cancelBy cancelReason pauseWanted pauseBy pauseReason budgetChanges messages (how many there are)
--   approvalsClosed | stale
-- Sent again: yes

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/record.lua"
--- @include "./include/set.lua"

exceedMemory()
local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
redis.call('ZADD', root .. ':leases', nowMs() + tonumber(ARGV[3]), id)
if ARGV[4] ~= '' then set(id, 'usage', ARGV[4]) end
local requests = redis.call('HMGET', record(id), 'cancelBy', 'cancelReason', 'pauseWanted', 'pauseBy', 'pauseReason',
  'budgetChanges')
for index = 1, 6 do requests[index] = requests[index] or '' end
requests[#requests + 1] = redis.call('HGET', key('messages', id), 'count') or '0'
requests[#requests + 1] = get(id, 'approvalsClosed') or ''
return {'ok', unpack(requests)}
