-- waiting_* → queued: what a parked execution waited for is there, and its next attempt waits for its turn. One that
--   had reserved nothing reserves what it may spend; where the day has nothing left, it stays parked.
-- Arguments (JSON): id, state, claim (both as they were seen), fields, events? (that come before it), event,
--   queueDeadline? (ms), wantedBudget? (JSON text), nextDay? (ms: when to look again where the day has nothing left)
-- Answers: unparked claim priority | refused state | over unit limit spent reserved wanted next day (weigh.lua)
-- Sent again: yes; the second time it is refused

--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/get.lua"
--- @include "./include/is-resting.lua"
--- @include "./include/reserve-rest.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"
--- @include "./include/unpark-run.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state = args.id, get(args.id, 'state')
if state ~= args.state or not isResting(state) then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= args.claim then return {'refused', state} end
if args.wantedBudget then
  local refusal = reserveRest(id, cjson.decode(args.wantedBudget))
  if refusal then
    if args.nextDay then
      set(id, 'notBefore', args.nextDay)
      redis.call('ZADD', key('resting', 'budget'), math.min(args.nextDay, tonumber(get(id, 'parkedUntil'))), id)
    end
    return refusal
  end
end
setAll(id, args.fields)
for _, event in ipairs(args.events or {}) do writeNext(id, event) end
return {'unparked', unparkRun(id, args)}
