-- It is at work no more. Where its owner may have only so many at work, jobs that came too early are gone: the next in
--   its line may be queued again. → {id, claim, priority} or {}

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./get.lua"
--- @include "./leave-work.lua"
--- @include "./record.lua"
--- @include "./turn-keys.lua"

local function passWork(id)
  if not leaveWork(id) then return {} end
  local owner = get(id, 'owner')
  if redis.call('HEXISTS', root .. ':owner-limits', owner) == 0 then return {} end
  for band = 0, 2 do
    local next = redis.call('ZRANGE', lineOf(band, owner), 0, 0)[1]
    if next and get(next, 'state') == 'queued' then
      return {next, redis.call('HINCRBY', record(next), 'claim', 1), get(next, 'priority')}
    end
  end
  return {}
end
