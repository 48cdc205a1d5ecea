-- The first ones in the lines of an owner may be queued again, at most so many. Jobs that came too early are gone.
--   → {id, claim, priority, …}

--- @include "./get.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function callNext(owner, most)
  local ready = {}
  for band = 0, 2 do
    local left = most - #ready / 3
    local waits = left > 0 and redis.call('ZSCORE', turnsOf(band), owner)
    for _, id in ipairs(waits and redis.call('ZRANGE', lineOf(band, owner), 0, left - 1) or {}) do
      if get(id, 'state') == 'queued' then
        ready[#ready + 1] = id
        ready[#ready + 1] = redis.call('HINCRBY', record(id), 'claim', 1)
        ready[#ready + 1] = get(id, 'priority')
      end
    end
  end
  return ready
end
