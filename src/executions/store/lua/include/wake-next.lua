-- Gives the workspace to the execution that has waited longest: its record may be queued again. → {id, claim, priority}
--   or {}

--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./enter-queue.lua"
--- @include "./get.lua"
--- @include "./record.lua"

local function wakeNext(workspace)
  local next = redis.call('ZPOPMIN', key('parked', workspace))[1]
  if not next then return {} end
  local score = redis.call('ZSCORE', root .. ':parked', next)
  redis.call('ZREM', root .. ':parked', next)
  if get(next, 'state') ~= 'queued' then return wakeNext(workspace) end
  enterQueue(next, score)
  redis.call('HDEL', record(next), 'waitingFor')
  local claim = redis.call('HINCRBY', record(next), 'claim', 1)
  return {next, claim, get(next, 'priority')}
end
