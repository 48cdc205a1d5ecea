-- When something of a webhook is due next: the first of its lines, or, where it has all the turns that it may have, the
--   end of the first of them. A line that has a turn is due when that has ended.

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local TURNS = 8

local function planWebhook(id)
  local first = redis.call('ZRANGE', key('webhook-lines', id), 0, 0, 'WITHSCORES')[2]
  if redis.call('ZCARD', key('webhook-turns', id)) >= TURNS then
    first = redis.call('ZRANGE', key('webhook-turns', id), 0, 0, 'WITHSCORES')[2]
  end
  if first then redis.call('ZADD', root .. ':webhooks-due', first, id)
  else redis.call('ZREM', root .. ':webhooks-due', id) end
end
