export const DAY_MS = 24 * 60 * 60 * 1_000
/** Dollars are counted in millionths: sums of whole numbers lose nothing. */
export const MICRO = 1_000_000
const KEPT_MS = 400 * DAY_MS
/** Sums of a day, all measures of all models and tokens; beyond, further models are summed as OTHER_MODELS. */
const SUMS_KEPT = 20_000
const OTHER_MODELS = '(other)'

/**
 * What is reserved and spent. Both are parts of the scripts that store an acceptance and an end: no crash can come between,
 * fifty submissions at once are one after the other, and an end that is refused settles nothing.
 * Everything belongs to the UTC day of the acceptance, by Redis' clock.
 * Keys of this room, below the root; <kind> is `real` or `simulated`, <day> counts from 1970:
 *   budget:<kind>:<day>:<owner>  hash  usd:spent, usd:reserved (millionths), tokens:spent, tokens:reserved
 *   usage:<kind>:<day>           hash  ["<owner>","<model>","<measure>"] → a whole number
 */
export const LEDGER_LUA = `
local function whole(number) return string.format('%.0f', number) end
local function touch(hash, field, by)
  redis.call('HINCRBY', hash, field, whole(by))
  redis.call('PEXPIRE', hash, ${KEPT_MS})
end
local function bookOf(kind, day, owner) return root .. ':budget:' .. kind .. ':' .. day .. ':' .. owner end

-- wanted: {usd?, tokens?: {run? (at most), cap? (of the day), isRest? (what is left will do)}}
-- → what may be reserved; or nil and: over unit limit spent reserved wanted next day (ms). Writes nothing.
local function weigh(owner, kind, wanted)
  local day = math.floor(nowMs() / ${DAY_MS})
  local book = bookOf(kind, whole(day), owner)
  local taken = {}
  for _, unit in ipairs({'usd', 'tokens'}) do
    local want = wanted[unit]
    if want then
      local amount = want.run
      if want.cap then
        local spent = tonumber(redis.call('HGET', book, unit .. ':spent') or '0')
        local reserved = tonumber(redis.call('HGET', book, unit .. ':reserved') or '0')
        local left = want.cap - spent - reserved
        if want.isRest then amount = math.min(amount or left, left) end
        if amount <= 0 or amount > left then
          return nil, {'over', unit, whole(want.cap), whole(spent), whole(reserved), whole(want.run or want.cap), whole((day + 1) * ${DAY_MS})}
        end
      end
      taken[unit] = amount
    end
  end
  return taken
end

local function reserve(id, owner, kind, taken)
  local day = whole(math.floor(nowMs() / ${DAY_MS}))
  local book = bookOf(kind, day, owner)
  redis.call('HSET', key('execution', id), 'ledgerDay', day)
  for unit, amount in pairs(taken) do
    touch(book, unit .. ':reserved', amount)
    redis.call('HSET', key('execution', id), 'reserved:' .. unit, whole(amount))
  end
end

local function settle(owner, kind, day, model, usage, reserved, hasSucceeded)
  day = day or whole(math.floor(nowMs() / ${DAY_MS}))
  local book = bookOf(kind, day, owner)
  local micro = math.floor(usage.costUsd * ${MICRO} + 0.5)
  for unit, spent in pairs({usd = micro, tokens = usage.inputTokens + usage.outputTokens + usage.cacheCreationTokens}) do
    if reserved[unit] then touch(book, unit .. ':reserved', -tonumber(reserved[unit])) end
    touch(book, unit .. ':spent', spent)
  end
  local sums = root .. ':usage:' .. kind .. ':' .. day
  local function field(measure) return cjson.encode({owner, model, measure}) end
  if redis.call('HLEN', sums) >= ${SUMS_KEPT} and redis.call('HEXISTS', sums, field('executions')) == 0 then model = '${OTHER_MODELS}' end
  local measures = {executions = 1, succeeded = hasSucceeded and 1 or 0, costMicroUsd = micro}
  for _, measure in ipairs({'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens', 'turns', 'durationMs'}) do measures[measure] = usage[measure] end
  for measure, value in pairs(measures) do touch(sums, field(measure), value) end
end
`
