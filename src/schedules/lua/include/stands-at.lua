-- Whether a schedule stands where whoever settles its next moment has read it: nobody has settled that moment, and
--   nothing was changed. `after` never goes back, so each moment is settled once.

--- @include "../../../platform/lua/include/key.lua"

local function standsAt(id, after, revision)
  local now = redis.call('HMGET', key('schedule', id), 'after', 'revision')
  return now[1] == after and now[2] == revision
end
