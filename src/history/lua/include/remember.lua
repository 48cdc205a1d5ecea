-- Puts a duration at the head of a list that is bounded.

--- @include "./history-kept-ms.lua"

local function remember(list, milliseconds, kept)
  redis.call('LPUSH', list, milliseconds)
  redis.call('LTRIM', list, 0, kept - 1)
  redis.call('PEXPIRE', list, HISTORY_KEPT_MS)
end
