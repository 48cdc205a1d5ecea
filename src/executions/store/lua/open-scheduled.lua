-- Executions of a schedule that have not ended, as it stands before its next moment.
-- Arguments: schedule, after, revision (as read)
-- Answers: moved | open ids…
-- Sent again: yes

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../schedules/lua/include/stands-at.lua"
--- @include "./include/is-over.lua"

local schedule = ARGV[1]
if not standsAt(schedule, ARGV[2], ARGV[3]) then return {'moved'} end
local open = {'open'}
for _, id in ipairs(redis.call('SMEMBERS', key('schedule-open', schedule))) do
  if isOver(id) then redis.call('SREM', key('schedule-open', schedule), id)
  else open[#open + 1] = id end
end
return open
