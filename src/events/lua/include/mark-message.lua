-- What an event says of a message (message.accepted, .delivered, .dropped) is kept with the message, once: in the step
--   that writes the event. state:<number>: what became of it, when, why; noted: up to there the log has
--   message.accepted; sent:<number>: what was attached to it, as it was handed over.

--- @include "../../../platform/lua/include/key.lua"
--- @include "./owe-follow-up.lua"

local function markMessage(id, kind, messageId, at, reason, sent)
  local messages = key('messages', id)
  local number = redis.call('HGET', messages, 'number:' .. messageId)
  if not number then return end
  if kind == 'accepted' then
    redis.call('HDEL', messages, 'event:' .. number)
    if tonumber(number) > tonumber(redis.call('HGET', messages, 'noted') or '0') then
      redis.call('HSET', messages, 'noted', number)
    end
  elseif redis.call('HSETNX', messages, 'state:' .. number, kind .. ' ' .. at .. ' ' .. (reason or '')) == 1 then
    redis.call('HINCRBY', messages, 'open', -1)
    -- What would follow if it were dropped.
    if kind == 'delivered' then
      redis.call('HDEL', messages, 'owed:' .. number)
      if sent then redis.call('HSET', messages, 'sent:' .. number, cjson.encode(sent)) end
    elseif redis.call('HEXISTS', messages, 'owed:' .. number) == 1 then
      oweFollowUp(id, number)
    end
  end
end
