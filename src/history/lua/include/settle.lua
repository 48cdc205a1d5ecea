-- What an execution has spent takes the place of what it had reserved: in the book of the day of which it is
--   reserved, and in the sums of the day of its acceptance.

--- @constant DAY_MS "../../units.ts"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./book-of.lua"
--- @include "./book-spent.lua"
--- @include "./touch.lua"
--- @include "./whole.lua"

-- Sums of a day, all measures of all models and tokens; beyond, further models are summed as OTHER_MODELS.
local SUMS_KEPT = 20000
local OTHER_MODELS = '(other)'

local function settle(owner, kind, day, bookDay, model, usage, reserved, hasSucceeded)
  day = day or whole(math.floor(nowMs() / DAY_MS))
  local micro = bookSpent(bookOf(kind, bookDay or day, owner), usage, reserved).usd
  local sums = root .. ':usage:' .. kind .. ':' .. day
  local function field(measure) return cjson.encode({owner, model, measure}) end
  if redis.call('HLEN', sums) >= SUMS_KEPT and redis.call('HEXISTS', sums, field('executions')) == 0 then
    model = OTHER_MODELS
  end
  local measures = {executions = 1, succeeded = hasSucceeded and 1 or 0, costMicroUsd = micro}
  local reported = {'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens', 'turns', 'durationMs'}
  for _, measure in ipairs(reported) do
    measures[measure] = usage[measure]
  end
  for measure, value in pairs(measures) do touch(sums, field(measure), value) end
end
