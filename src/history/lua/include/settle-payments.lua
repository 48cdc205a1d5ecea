-- The same sums by the credential that paid. An execution counts with the credential of its last attempt.
-- payments: {credential, usage} each; what has none (an older version's) is in the other sums only.

--- @constant DAY_MS "../../units.ts"
--- @constant MICRO "../../units.ts"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./touch.lua"
--- @include "./whole.lua"

-- As in settle.lua.
local PAYMENT_SUMS_KEPT = 20000
local REPORTED = {'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens', 'turns', 'durationMs'}

local function settlePayments(owner, kind, day, model, payments, hasSucceeded)
  local sums = root .. ':usage-by-credential:' .. kind .. ':' .. (day or whole(math.floor(nowMs() / DAY_MS)))
  for index, paid in ipairs(payments) do
    local function field(measure) return cjson.encode({owner, model, paid.credential, measure}) end
    local isThere = redis.call('HEXISTS', sums, field('costMicroUsd')) == 1
    if isThere or redis.call('HLEN', sums) < PAYMENT_SUMS_KEPT then
      local isLast = index == #payments
      touch(sums, field('executions'), isLast and 1 or 0)
      touch(sums, field('succeeded'), isLast and hasSucceeded and 1 or 0)
      touch(sums, field('costMicroUsd'), math.floor(paid.usage.costUsd * MICRO + 0.5))
      for _, measure in ipairs(REPORTED) do touch(sums, field(measure), paid.usage[measure]) end
    end
  end
end
