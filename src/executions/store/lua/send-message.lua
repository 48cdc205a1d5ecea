-- A message to an execution. Its number, and with it the order of all, is fixed here. Where nobody holds the execution
--   its event is written in the same step; else its holder does.
-- Arguments (JSON): id, messageId, message (its JSON), dropped (that of one that is dropped at once), key?, digest,
--   event (message.accepted without its seq), at, maxOpen, maxAll, followUpId? (that it has become already), owed? (the
--   record that it becomes when it is dropped) and owedId, attached? (bytes that were put aside by its messageId),
--   maxAttached
-- Answers: accepted number state | replayed number | conflict | full limit | crowded limit | withdrawn | refused state
-- Sent again: yes; a message that is known by its id is accepted once

--- @include "../../../events/lua/include/note-messages.lua"
--- @include "../../../events/lua/include/owe-follow-up.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/need-memory.lua"
--- @include "../../../tokens/lua/include/is-withdrawn.lua"
--- @include "./include/expire-messages.lua"
--- @include "./include/get.lua"
--- @include "./include/is-active.lua"
--- @include "./include/is-ended.lua"
--- @include "./include/keep-attachments.lua"
--- @include "./include/store-message.lua"

local args = cjson.decode(ARGV[1])
local id, messages = args.id, key('messages', args.id)
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if get(id, 'kind') == 'task_list' then return {'refused', state} end
local own = redis.call('HGET', messages, 'number:' .. args.messageId)
if own then return {'accepted', tonumber(own), state} end
if isWithdrawn(get(id, 'owner')) then return {'withdrawn'} end
local known = args.key and redis.call('HGET', messages, 'key:' .. args.key)
if known then
  local number, digest = string.match(known, '^(%d+) (.*)$')
  if digest ~= args.digest then return {'conflict'} end
  return {'replayed', tonumber(number)}
end
local count, open, closing = unpack(redis.call('HMGET', messages, 'count', 'open', 'closing'))
if tonumber(count or '0') >= args.maxAll then return {'full', args.maxAll} end
needMemory()
-- Its end is being written, or was: nothing is added to the log any more.
local isClosed = isEnded(state) or closing == (redis.call('HGET', key('log', id), 'fence') or '')
local fate = args.followUpId and 'follow_up' or isClosed and 'dropped ' .. args.at .. ' ended'
if not fate and tonumber(open or '0') >= args.maxOpen then return {'full', args.maxOpen} end
if fate and not args.followUpId then args.message = args.dropped end
if args.attached and not fate then
  local bytes = redis.call('HGET', key('attachments', id), 'bytes')
  if tonumber(bytes or '0') + args.attached > args.maxAttached then return {'crowded', args.maxAttached} end
  keepAttachments(id, args.messageId)
elseif args.attached and args.owed then
  keepAttachments(args.owedId, args.messageId)
end
local number = storeMessage(args, fate or nil)
if args.owed then redis.call('HSET', messages, 'owed:' .. number, args.owed) end
if isClosed then
  redis.call('HSET', messages, 'noted', number)
  if args.owed then oweFollowUp(id, number) end
  if isEnded(state) then expireMessages(id) end
else
  redis.call('HSET', messages, 'event:' .. number, args.event)
  if not isActive(state) then noteMessages(id) end
end
return {'accepted', number, state}
