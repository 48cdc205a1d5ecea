-- What an end teaches and costs, told once: nothing comes here a second time.

--- @constant DAY_MS "../../../../history/units.ts"
--- @include "../../../../history/lua/include/learn.lua"
--- @include "../../../../history/lua/include/settle.lua"
--- @include "../../../../history/lua/include/settle-payments.lua"
--- @include "../../../../history/lua/include/whole.lua"
--- @include "./get.lua"
--- @include "./kind-of.lua"
--- @include "./record.lua"

local function account(id, status)
  -- Its tasks have been.
  if get(id, 'kind') == 'task_list' then return end
  local kind = kindOf(get(id, 'simulated'))
  local reserved = {usd = get(id, 'reserved:usd'), tokens = get(id, 'reserved:tokens')}
  local usage = cjson.decode(get(id, 'usage'))
  local created, model = tonumber(get(id, 'createdAt')), get(id, 'model') or ''
  local day = get(id, 'ledgerDay') or (created and whole(math.floor(created / DAY_MS)))
  settle(get(id, 'owner'), kind, day, model, usage, reserved, status == 'succeeded')
  local paidBy = get(id, 'paidBy')
  if paidBy then settlePayments(get(id, 'owner'), kind, day, model, cjson.decode(paidBy), status == 'succeeded') end
  learn(get(id, 'owner'), kind, get(id, 'fingerprints'), get(id, 'activeMs'), get(id, 'lesson') or '')
  redis.call('HDEL', record(id), 'fingerprints', 'activeMs', 'lesson')
end
