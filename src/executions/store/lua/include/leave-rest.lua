-- Takes an execution out of those that are parked. A parked task stands in the lists of its owner only as long.

--- @include "../../../../platform/lua/include/key.lua"
--- @include "./get.lua"
--- @include "./record.lua"

local function leaveRest(id)
  local parked = 0
  for _, reason in ipairs({'budget', 'approval'}) do
    parked = parked + redis.call('ZREM', key('resting', reason), id)
  end
  if parked == 0 then return end
  redis.call('HDEL', record(id), 'parkedUntil', 'notBefore')
  if get(id, 'parentId') then redis.call('ZREM', key('index', get(id, 'owner')), id) end
end
