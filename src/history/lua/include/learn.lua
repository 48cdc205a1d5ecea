-- What an end teaches. Part of the scripts that store an end, so each execution teaches once.
-- lesson: 'success' | 'bound' | '' (then only the place that it took is remembered)

--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./history-kept-ms.lua"
--- @include "./remember.lua"

-- Durations kept of a fingerprint, and of all runs together, however they ended (how long a place is taken): the newest
--   ones.
local SAMPLES_KEPT = 100
local PLACES_KEPT = 200
-- Fingerprints kept for one owner; beyond, those go that were taught longest ago.
local FINGERPRINTS_KEPT = 2000

local function learn(owner, kind, fingerprints, milliseconds, lesson)
  if not milliseconds then return end
  remember(root .. ':history:places:' .. kind, milliseconds, PLACES_KEPT)
  if lesson == '' or not fingerprints then return end
  local known, now = root .. ':history:known:' .. kind .. ':' .. owner, nowMs()
  local prefix = root .. ':history:' .. kind .. ':'
  for _, fingerprint in ipairs(cjson.decode(fingerprints)) do
    remember(prefix .. fingerprint, lesson == 'bound' and '-' .. milliseconds or milliseconds, SAMPLES_KEPT)
    redis.call('ZADD', known, now, fingerprint)
  end
  redis.call('PEXPIRE', known, HISTORY_KEPT_MS)
  redis.call('ZREMRANGEBYSCORE', known, '-inf', now - HISTORY_KEPT_MS)
  local surplus = redis.call('ZCARD', known) - FINGERPRINTS_KEPT
  if surplus <= 0 then return end
  for _, fingerprint in ipairs(redis.call('ZRANGE', known, 0, surplus - 1)) do
    redis.call('DEL', prefix .. fingerprint)
  end
  redis.call('ZREMRANGEBYRANK', known, 0, surplus - 1)
end
