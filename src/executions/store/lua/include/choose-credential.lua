-- Which of a worker's credentials pays: that of the conversation's last run, which has its cache, else the first in
--   turn by weight. Never one whose limit is reached.
-- → {name, start, turn} | nil, why there is none: 'blocked', ms (all of them are); 'unsuited' (none has its sandbox);
--   'busy' (those that have it are blocked)

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"

local function chooseCredential(id, offers, now)
  local sandbox, before = tonumber(get(id, 'sandbox') or '0'), get(id, 'credential')
  local source = #offers > 1 and not before and get(id, 'resumedFrom')
  if source then before = get(source, 'credential') end
  local turns = root .. ':credential-turns'
  local clock = #offers > 1 and tonumber(redis.call('HGET', turns, '') or '0') or 0
  local best, waitMs, isSuited, isFree = nil, nil, false, false
  for _, offer in ipairs(offers) do
    local share, suits = 1 / offer.weight, sandbox <= offer.highestSandbox
    local score = redis.call('ZSCORE', root .. ':blocked', offer.name)
    local leftMs = score and math.ceil(tonumber(score) - now) or 0
    isSuited = isSuited or suits
    if leftMs > 0 then
      waitMs = math.min(waitMs or leftMs, leftMs)
    else
      isFree = true
      local last = #offers > 1 and tonumber(redis.call('HGET', turns, offer.name) or '0') or 0
      -- Who was blocked, or is new, is first once and does not catch up: nobody else is ever further behind than that.
      local start = math.max(last, clock - share)
      local candidate = {name = offer.name, start = start, turn = start + share}
      if suits and offer.name == before then return candidate end
      if suits and (not best or candidate.turn < best.turn) then best = candidate end
    end
  end
  if best then return best end
  if not isFree and waitMs then return nil, 'blocked', waitMs end
  return nil, isSuited and 'busy' or 'unsuited'
end
