-- Makes a webhook hear of one owner's executions, of all (`*`) or, without a name, of none. Records and approvals are
--   told of only where `webhook-hearers` has their owner.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local function countHearers(of)
  local most = redis.call('SCARD', key('webhooks-hearing', of))
  if most > 0 then redis.call('HSET', root .. ':webhook-hearers', of, most)
  else redis.call('HDEL', root .. ':webhook-hearers', of) end
end

local function hear(id, of)
  local before = redis.call('HGET', key('webhook', id), 'hears')
  if before then
    redis.call('SREM', key('webhooks-hearing', before), id)
    redis.call('HDEL', key('webhook', id), 'hears')
    countHearers(before)
  end
  if of then
    redis.call('SADD', key('webhooks-hearing', of), id)
    redis.call('HSET', key('webhook', id), 'hears', of)
    countHearers(of)
  end
end
