-- What an end teaches and costs, told once: nothing comes here a second time.

--- @include "../../../../history/lua/include/learn.lua"
--- @include "../../../../history/lua/include/settle.lua"
--- @include "../../../../history/lua/include/settle-payments.lua"
--- @include "./get.lua"
--- @include "./kind-of.lua"
--- @include "./ledger-day.lua"
--- @include "./record.lua"
--- @include "./reserved-of.lua"

local function account(id, status)
  -- Its tasks have been.
  if get(id, 'kind') == 'task_list' then return end
  local kind = kindOf(get(id, 'simulated'))
  local usage = cjson.decode(get(id, 'usage'))
  local day, model = ledgerDay(id), get(id, 'model') or ''
  local bookDay = get(id, 'bookDay') or nil
  settle(get(id, 'owner'), kind, day, bookDay, model, usage, reservedOf(id), status == 'succeeded')
  local paidBy = get(id, 'paidBy')
  if paidBy then settlePayments(get(id, 'owner'), kind, day, model, cjson.decode(paidBy), status == 'succeeded') end
  learn(get(id, 'owner'), kind, get(id, 'fingerprints'), get(id, 'activeMs'), get(id, 'lesson') or '')
  redis.call('HDEL', record(id), 'fingerprints', 'activeMs', 'lesson')
end
