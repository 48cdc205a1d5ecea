-- Adds to a sum, and keeps its hash.

--- @include "./whole.lua"

local LEDGER_KEPT_MS = 400 * 24 * 60 * 60 * 1000

local function touch(hash, field, by)
  redis.call('HINCRBY', hash, field, whole(by))
  redis.call('PEXPIRE', hash, LEDGER_KEPT_MS)
end
