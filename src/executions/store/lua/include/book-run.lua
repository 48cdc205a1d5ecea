-- What an execution has spent so far is booked, and nothing is reserved for it any more. Its limits stay as they were:
--   the base is what it had reserved in all.

--- @include "../../../../history/lua/include/book-of.lua"
--- @include "../../../../history/lua/include/book-spent.lua"
--- @include "../../../../history/lua/include/whole.lua"
--- @include "./get.lua"
--- @include "./kind-of.lua"
--- @include "./ledger-day.lua"
--- @include "./reserved-of.lua"
--- @include "./set.lua"

local function bookRun(id)
  local book = bookOf(kindOf(get(id, 'simulated')), get(id, 'bookDay') or ledgerDay(id), get(id, 'owner'))
  local reserved = reservedOf(id)
  local spent = bookSpent(book, cjson.decode(get(id, 'usage')), reserved)
  for unit, amount in pairs(spent) do
    set(id, 'booked:' .. unit, whole(amount))
    if reserved[unit].amount then
      set(id, 'base:' .. unit, whole((reserved[unit].base or 0) + reserved[unit].amount), 'reserved:' .. unit, '0')
    end
  end
end
