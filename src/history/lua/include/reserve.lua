-- Reserves what weigh has found, for an execution; without a reservation the day of its creation counts.

--- @constant DAY_MS "../../units.ts"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./book-of.lua"
--- @include "./touch.lua"
--- @include "./whole.lua"

local function reserve(id, owner, kind, taken)
  if not next(taken) then return end
  local day = whole(math.floor(nowMs() / DAY_MS))
  local book = bookOf(kind, day, owner)
  redis.call('HSET', key('execution', id), 'ledgerDay', day)
  for unit, amount in pairs(taken) do
    touch(book, unit .. ':reserved', amount)
    redis.call('HSET', key('execution', id), 'reserved:' .. unit, whole(amount))
  end
end
