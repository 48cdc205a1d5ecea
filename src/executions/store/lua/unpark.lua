-- The workspace of a parked execution is free: the one that has waited longest for it may be queued again.
-- Arguments: id
-- Answers: {id, claim, priority} or {}
-- Sent again: yes; an answer that was lost leaves a queued record without a job, which the sweep repairs

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/find-held.lua"
--- @include "./include/get.lua"
--- @include "./include/holder-of.lua"
--- @include "./include/is-held.lua"
--- @include "./include/park.lua"
--- @include "./include/parked-on.lua"
--- @include "./include/wake-next.lua"

local id = ARGV[1]
local name = parkedOn(id)
if not name then
  redis.call('ZREM', root .. ':parked', id)
  return {}
end
if isHeld(name, holderOf(id)) then return {} end
local wanted = get(id, 'wantedPlaces')
wanted = wanted and cjson.decode(wanted) or {}
wanted[#wanted + 1] = get(id, 'workspaceLock') or nil
local held = findHeld(holderOf(id), wanted)
if not held then return wakeNext(name) end
redis.call('ZREM', key('parked', name), id)
park(id, held)
return {}
