-- Why the worker keeps a slot for an approval whose hold is over; '': it does not any more.
-- Arguments: id, execution, fence, why
-- Answers: 1 | 0 (it is closed, or another holder's)
-- Sent again: yes; the second time it changes nothing

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "./include/approval.lua"

local id, execution, fence, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not holdsFence(execution, fence) or redis.call('HGET', approval(id), 'status') ~= 'pending' then return 0 end
if why == '' then redis.call('HDEL', approval(id), 'heldBecause')
else redis.call('HSET', approval(id), 'heldBecause', why) end
return 1
