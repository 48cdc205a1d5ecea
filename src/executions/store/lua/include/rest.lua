-- It is parked: what it has spent is booked, and one that waits for a budget reserves nothing.
-- parked: {reason, until (ms), notBefore? (ms: it goes on by itself then)}

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./book-run.lua"
--- @include "./get.lua"
--- @include "./record.lua"
--- @include "./set.lua"

local function rest(id, parked)
  set(id, 'parkedUntil', parked['until'])
  redis.call('HDEL', record(id), 'notBefore')
  if parked.notBefore then set(id, 'notBefore', parked.notBefore) end
  redis.call('ZADD', key('resting', parked.reason), math.min(parked['until'], parked.notBefore or math.huge), id)
  if get(id, 'parentId') then redis.call('ZADD', key('index', get(id, 'owner')), 0, id) end
  if parked.reason == 'budget' then bookRun(id) end
end
