-- wanted: {usd?, tokens?: {run? (at most), cap? (of the day), isRest? (what is left will do)}}
-- Of today, unless a day is given; own: by unit {amount? (already reserved for the same)}.
-- → what may be reserved; or nil and: over unit limit spent reserved wanted next day (ms). Writes nothing.

--- @constant DAY_MS "../../units.ts"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "./book-of.lua"
--- @include "./whole.lua"

local function weigh(owner, kind, wanted, ofDay, own)
  if not next(wanted) then return {} end
  local day = ofDay and tonumber(ofDay) or math.floor(nowMs() / DAY_MS)
  local book = bookOf(kind, whole(day), owner)
  local taken = {}
  for _, unit in ipairs({'usd', 'tokens'}) do
    local want = wanted[unit]
    if want then
      local amount = want.run
      if want.cap then
        local spent = tonumber(redis.call('HGET', book, unit .. ':spent') or '0')
        local reserved = tonumber(redis.call('HGET', book, unit .. ':reserved') or '0')
        if own then reserved = reserved - (own[unit].amount or 0) end
        local left = want.cap - spent - reserved
        if want.isRest then amount = math.min(amount or left, left) end
        if amount <= 0 or amount > left then
          local turnsAt = (day + 1) * DAY_MS
          local known = {whole(want.cap), whole(spent), whole(reserved), whole(want.run or want.cap), whole(turnsAt)}
          return nil, {'over', unit, unpack(known)}
        end
      end
      taken[unit] = amount
    end
  end
  return taken
end
