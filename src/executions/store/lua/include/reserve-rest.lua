-- An execution reserves what it may still spend. One that has reserved something stays in the book of that day, and
--   what it has there is free for it; a parked one comes into today's.
-- wanted: {usd?, tokens?: {total? (with what is booked), cap? (of the day), isRest?}} → nil, or an answer as weigh.lua
--   gives it

--- @constant DAY_MS "../../../../history/units.ts"
--- @include "../../../../history/lua/include/book-of.lua"
--- @include "../../../../history/lua/include/touch.lua"
--- @include "../../../../history/lua/include/weigh.lua"
--- @include "../../../../history/lua/include/whole.lua"
--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "./get.lua"
--- @include "./is-resting.lua"
--- @include "./kind-of.lua"
--- @include "./ledger-day.lua"
--- @include "./reserved-of.lua"
--- @include "./set.lua"

local function reserveRest(id, wanted)
  local owner, kind = get(id, 'owner'), kindOf(get(id, 'simulated'))
  local day = not isResting(get(id, 'state')) and (get(id, 'bookDay') or ledgerDay(id))
    or whole(math.floor(nowMs() / DAY_MS))
  local own = reservedOf(id)
  local wants = {}
  for unit, want in pairs(wanted) do
    local run = want.total and want.total - own[unit].booked
    if want.cap then run = math.min(run or want.cap, want.cap) end
    wants[unit] = {run = run, cap = want.cap, isRest = want.isRest}
  end
  local taken, refusal = weigh(owner, kind, wants, day, own)
  if refusal then return refusal end
  local book = bookOf(kind, day, owner)
  for unit, amount in pairs(taken) do
    touch(book, unit .. ':reserved', amount - (own[unit].amount or 0))
    set(id, 'reserved:' .. unit, whole(amount), 'base:' .. unit, whole(own[unit].booked))
  end
  set(id, 'bookDay', day)
end
