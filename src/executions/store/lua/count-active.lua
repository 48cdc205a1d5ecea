-- How many have started and not ended, as they are shown: some thousand records are counted where they are.
-- Arguments: none
-- Answers: how many run, how many are paused
-- Sent again: yes

--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"

local counts = {running = 0, paused = 0}
for _, id in ipairs(redis.call('ZRANGE', root .. ':leases', 0, -1)) do
  local state = get(id, 'state')
  if counts[state] then counts[state] = counts[state] + 1 end
end
return {counts.running, counts.paused}
