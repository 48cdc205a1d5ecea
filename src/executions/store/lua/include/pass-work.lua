-- It is at work no more. Where its owner may have only so many at work, the next in its line may be queued again.
--   → as call-next

--- @include "../../../../platform/lua/include/root.lua"
--- @include "./call-next.lua"
--- @include "./get.lua"
--- @include "./leave-work.lua"

local function passWork(id)
  if not leaveWork(id) then return {} end
  local owner = get(id, 'owner')
  if redis.call('HEXISTS', root .. ':owner-limits', owner) == 0 then return {} end
  return callNext(owner, 1)
end
