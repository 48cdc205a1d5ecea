-- A message gets the next number of its execution. state: it is decided at once.

--- @include "../../../../platform/lua/include/key.lua"

local function storeMessage(args, state)
  local messages = key('messages', args.id)
  local number = redis.call('HINCRBY', messages, 'count', 1)
  redis.call('HSET', messages, number, args.message, 'number:' .. args.messageId, number)
  redis.call('HINCRBY', messages, 'bytes', #args.message)
  if args.key then redis.call('HSET', messages, 'key:' .. args.key, number .. ' ' .. args.digest) end
  if state then
    redis.call('HSET', messages, 'state:' .. number, state)
  else
    redis.call('HINCRBY', messages, 'open', 1)
  end
  return number
end
