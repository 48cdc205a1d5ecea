-- What an execution may spend is changed. One that is held hears it from its lease and writes the event; a parked one
--   goes on, where the new limits leave something.
-- Arguments (JSON): id, state, revision (both as they were seen), changes (JSON text, all of them), fields, event,
--   wantedBudget (JSON text: what it may spend from now on), unparked?: {event, queueDeadline?, fields}
-- Answers: changed | unparked claim priority | refused state | moved | over unit limit spent reserved wanted next day
-- Sent again: yes; what is known is changed already

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/get.lua"
--- @include "./include/is-active.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/is-resting.lua"
--- @include "./include/record.lua"
--- @include "./include/reserve-rest.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"
--- @include "./include/unpark-run.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state, unparked = args.id, get(args.id, 'state'), args.unparked
if not state or isEnded(state) then return {'refused', state or 'missing'} end
if get(id, 'budgetChanges') == args.changes then return {'changed'} end
if state ~= args.state or (get(id, 'budgetRevision') or '0') ~= args.revision then return {'moved'} end
if unparked or not isResting(state) then
  local refusal = reserveRest(id, cjson.decode(args.wantedBudget))
  if refusal then return refusal end
end
set(id, 'budgetChanges', args.changes)
setAll(id, args.fields)
redis.call('HINCRBY', record(id), 'budgetRevision', 1)
if not isActive(state) then writeNext(id, args.event) end
if not unparked then return {'changed'} end
setAll(id, unparked.fields)
return {'unparked', unparkRun(id, unparked)}
