-- The execution is parked for this approval: nobody holds the fence, so whoever decides continues it. `parkedAt`: its
--   call waits in the session as this attempt has left it, until another one has begun.

--- @include "./approval.lua"

local function keepApproval(id, attempt)
  redis.call('HDEL', approval(id), 'heldBecause')
  redis.call('HSET', approval(id), 'fence', '', 'parkedAt', attempt)
end
