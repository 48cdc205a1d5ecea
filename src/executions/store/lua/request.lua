-- A cancel or a pause of a claimed execution, which its holder turns into events.
-- Arguments (JSON): id, kind (cancel | pause), wanted (of a pause), by, reason
-- Answers: requested state | known state | refused state
-- Sent again: yes; a second cancel is known, a second pause is stored again

--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/get.lua"
--- @include "./include/is-active.lua"
--- @include "./include/set.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
local state = get(id, 'state')
if not isActive(state) or (args.kind == 'pause' and state == 'starting') then return {'refused', state or 'missing'} end
if args.kind == 'cancel' then
  if get(id, 'cancelBy') then return {'known', state} end
  set(id, 'cancelBy', args.by, 'cancelReason', args.reason)
else
  set(id, 'pauseWanted', args.wanted and '1' or '0', 'pauseBy', args.by, 'pauseReason', args.reason)
end
return {'requested', state}
