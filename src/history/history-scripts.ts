/** Durations kept of a fingerprint, the newest ones. */
export const SAMPLES_KEPT = 100
/** Durations kept of all runs together, however they ended: how long a place is taken. */
export const PLACES_KEPT = 200
/** Fingerprints kept for one owner; beyond, those go that were taught longest ago. */
const FINGERPRINTS_KEPT = 2_000
const KEPT_MS = 30 * 24 * 60 * 60 * 1_000

/**
 * What an end teaches. Part of the script that stores the end, so each execution teaches once, whoever concludes it and however often.
 * Keys of this room, below the root; <kind> is `real` or `simulated`:
 *   history:<kind>:<fingerprint>   list  milliseconds, newest first; negative: it was not over by then
 *   history:known:<kind>:<owner>   zset  the owner's fingerprints by the time of their last lesson (ms)
 *   history:places:<kind>          list  milliseconds of every run, newest first
 */
export const HISTORY_LUA = `
local function remember(list, milliseconds, kept)
  redis.call('LPUSH', list, milliseconds)
  redis.call('LTRIM', list, 0, kept - 1)
  redis.call('PEXPIRE', list, ${KEPT_MS})
end

-- lesson: 'success' | 'bound' | '' (then only the place that it took is remembered)
local function learn(owner, kind, fingerprints, milliseconds, lesson)
  if not milliseconds then return end
  remember(root .. ':history:places:' .. kind, milliseconds, ${PLACES_KEPT})
  if lesson == '' or not fingerprints then return end
  local known, now = root .. ':history:known:' .. kind .. ':' .. owner, nowMs()
  local prefix = root .. ':history:' .. kind .. ':'
  for _, fingerprint in ipairs(cjson.decode(fingerprints)) do
    remember(prefix .. fingerprint, lesson == 'bound' and '-' .. milliseconds or milliseconds, ${SAMPLES_KEPT})
    redis.call('ZADD', known, now, fingerprint)
  end
  redis.call('PEXPIRE', known, ${KEPT_MS})
  redis.call('ZREMRANGEBYSCORE', known, '-inf', now - ${KEPT_MS})
  local surplus = redis.call('ZCARD', known) - ${FINGERPRINTS_KEPT}
  if surplus <= 0 then return end
  for _, fingerprint in ipairs(redis.call('ZRANGE', known, 0, surplus - 1)) do redis.call('DEL', prefix .. fingerprint) end
  redis.call('ZREMRANGEBYRANK', known, 0, surplus - 1)
end
`
