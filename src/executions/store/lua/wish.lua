-- A cancel or a pause of a claimed execution, which its holder turns into events.
-- Arguments: id, kind (cancel | pause), value, by, reason
-- Answers: wished state | known state | refused state
-- Sent again: yes; a second cancel is known, a second pause is stored again

--- @include "./include/get.lua"
--- @include "./include/is-active.lua"
--- @include "./include/set.lua"

local id, kind = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not isActive(state) or (kind == 'pause' and state == 'starting') then return {'refused', state or 'missing'} end
if kind == 'cancel' then
  if get(id, 'cancelBy') then return {'known', state} end
  set(id, 'cancelBy', ARGV[4], 'cancelReason', ARGV[5])
else
  set(id, 'pauseWanted', ARGV[3], 'pauseBy', ARGV[4], 'pauseReason', ARGV[5])
end
return {'wished', state}
