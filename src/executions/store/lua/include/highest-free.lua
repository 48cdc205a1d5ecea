-- The highest sandbox that a worker can run something in now, with one of its credentials. → its number | nil, ms until
--   the first of them is free again

--- @include "../../../../platform/lua/include/root.lua"

local function highestFree(offers, now)
  local highest, waitMs = nil, nil
  for _, offer in ipairs(offers) do
    local score = redis.call('ZSCORE', root .. ':blocked', offer.name)
    local leftMs = score and math.ceil(tonumber(score) - now) or 0
    if leftMs <= 0 then
      highest = math.max(highest or offer.highestSandbox, offer.highestSandbox)
    else
      waitMs = math.min(waitMs or leftMs, leftMs)
    end
  end
  return highest, waitMs
end
