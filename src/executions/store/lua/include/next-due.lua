-- The execution whose turn it is, among those that a worker with such a sandbox can take. → id or nil, whether one was
--   left out for its sandbox. Bounded: so many owners, so many of each.

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./may-run.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local OWNERS, OF_EACH = 64, 16

local function nextDue(highestSandbox)
  local isUnsuited = false
  for band = 0, 2 do
    for _, owner in ipairs(redis.call('ZRANGE', turnsOf(band), 0, OWNERS - 1)) do
      local line = lineOf(band, owner)
      for _, id in ipairs(mayRun(owner) and redis.call('ZRANGE', line, 0, OF_EACH - 1) or {}) do
        local state, sandbox = unpack(redis.call('HMGET', record(id), 'state', 'sandbox'))
        if state ~= 'queued' or not redis.call('ZSCORE', root .. ':waiting', id) then
          -- A script of an older version has taken it out of the queue.
          redis.call('ZREM', line, id)
        elseif tonumber(sandbox or '0') > highestSandbox then
          isUnsuited = true
        else
          return id, isUnsuited
        end
      end
      if redis.call('EXISTS', line) == 0 then redis.call('ZREM', turnsOf(band), owner) end
    end
  end
  return nil, isUnsuited
end
