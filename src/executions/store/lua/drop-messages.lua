-- Before the end of an execution: what was not delivered never will be, and the log says so. Messages that come from
--   now on are dropped at once, until somebody takes a new fence.
--   `ended`: of an execution that a worker of an older version has ended, which knew of no messages. Nothing is added
--   to its log any more.
-- Arguments (JSON): id, right (holder | queued | abandoned | ended), fence?, state? and claim? (of one that waits or is
--   parked, as it was seen), at, attempt, reason
-- Answers: dropped | stale
-- Sent again: yes; the second time there is nothing to drop

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/mark-message.lua"
--- @include "../../../events/lua/include/note-messages.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/expire-messages.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/is-active.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/is-unheld.lua"

local EVENT = '"type":"message.dropped","at":"%s","attempt":%d,"data":{"messageId":"%s","reason":"%s"%s}}'

exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state = args.id, get(args.id, 'state')
local isAllowed = (args.right == 'holder' and holdsFence(id, args.fence))
  or (args.right == 'queued' and isUnheld(id, args))
  or (args.right == 'abandoned' and isActive(state) and not hasLease(id))
  or (args.right == 'ended' and state and isEnded(state))
if not isAllowed then return {'stale'} end
local messages = key('messages', id)
local isLate = args.right == 'ended'
if not isLate then noteMessages(id) end
for number = 1, tonumber(redis.call('HGET', messages, 'count') or '0') do
  if redis.call('HEXISTS', messages, 'state:' .. number) == 0 then
    local message = cjson.decode(redis.call('HGET', messages, number))
    local messageId, owed = message.id, redis.call('HEXISTS', messages, 'owed:' .. number) == 1
    local following = owed and string.format(',"followUpId":"%s"', message.followUpId) or ''
    if not isLate then
      writeNext(id, string.format(EVENT, args.at, args.attempt, messageId, args.reason, following))
    end
    markMessage(id, 'dropped', messageId, args.at, args.reason)
  end
end
if isLate then
  redis.call('HSET', messages, 'noted', redis.call('HGET', messages, 'count') or '0')
  expireMessages(id)
end
redis.call('HSET', messages, 'closing', redis.call('HGET', key('log', id), 'fence') or '')
return {'dropped'}
