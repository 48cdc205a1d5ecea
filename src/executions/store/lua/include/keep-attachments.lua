-- What was put aside for a new execution, or for a message (from), is kept with an execution until its end.

--- @include "../../../../platform/lua/include/key.lua"

local function keepAttachments(id, from)
  local kept, aside = key('attachments', id), from and key('attachments', from)
  if aside then
    local fields = redis.call('HGETALL', aside)
    for index = 1, #fields, 2 do
      if redis.call('HSET', kept, fields[index], fields[index + 1]) == 1 then
        redis.call('HINCRBY', kept, 'bytes', #fields[index + 1])
      end
    end
    redis.call('DEL', aside)
  end
  redis.call('PERSIST', kept)
end
