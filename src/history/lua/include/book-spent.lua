-- What an execution has spent, and is not booked yet, takes the place of what it had reserved.
-- reserved: by unit {amount?, booked} → by unit what it has spent in all, in millionths of a dollar and in tokens

--- @constant MICRO "../../units.ts"
--- @include "./touch.lua"

local function bookSpent(book, usage, reserved)
  local spent = {
    usd = math.floor(usage.costUsd * MICRO + 0.5),
    tokens = usage.inputTokens + usage.outputTokens + usage.cacheCreationTokens,
  }
  for unit, amount in pairs(spent) do
    if reserved[unit].amount then touch(book, unit .. ':reserved', -reserved[unit].amount) end
    touch(book, unit .. ':spent', amount - reserved[unit].booked)
  end
  return spent
end
