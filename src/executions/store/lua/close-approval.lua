-- An approval ends without a decision: it has expired, or its call waits no longer. A decision that came before stands.
-- Arguments: id, status (expired | withdrawn)
-- Answers: the status that it has now, pending where it has not expired yet | missing
-- Sent again: yes; the second time it changes nothing

--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./include/approval.lua"
--- @include "./include/close-approval.lua"

exceedMemory()
local id, to = ARGV[1], ARGV[2]
local status, expiresAt = unpack(redis.call('HMGET', approval(id), 'status', 'expiresAt'))
if not status then return 'missing' end
if status ~= 'pending' or (to == 'expired' and nowMs() < tonumber(expiresAt)) then return status end
closeApproval(id, to)
return to
