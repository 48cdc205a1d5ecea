-- Whether a submission is accepted, and its reservations: of its budget, its Idempotency-Key and its place in the indexes.
-- payer: what reserves the budget, with its record JSON. → an answer of create.lua; nil where the record may be made

--- @include "../../../../history/lua/include/reserve.lua"
--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./record.lua"
--- @include "./weigh-new.lua"

local function admit(id, owner, idempotencyKey, digest, maxQueue, payer, payerJson, join)
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  local reservation = root .. ':idempotency:' .. owner .. ':' .. idempotencyKey
  if idempotencyKey ~= '' then
    local known = redis.call('GET', reservation)
    if known then
      local knownId, knownDigest = string.match(known, '^(%S+) (%S+)$')
      return {knownDigest == digest and 'replayed' or 'conflict', knownId}
    end
  end
  if redis.call('ZCARD', root .. ':waiting') + redis.call('ZCARD', root .. ':parked') + redis.call('ZCARD', root .. ':delayed') >= tonumber(maxQueue) then return {'full'} end
  local taken, over, kind = weighNew(owner, payerJson)
  if over then return over end
  local refusal = join and join()
  if refusal then return {'refused', refusal[1], refusal[2]} end
  reserve(payer, owner, kind, taken)
  if idempotencyKey ~= '' then redis.call('SET', reservation, id .. ' ' .. digest) end
  redis.call('ZADD', root .. ':index', 0, id)
  redis.call('ZADD', key('index', owner), 0, id)
  redis.call('SADD', root .. ':owners', owner)
end
