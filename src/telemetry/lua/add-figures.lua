-- What a process has counted since the last time.
-- Arguments (JSON): fields: {field: count}, events: {execution id: count}
-- Answers: 1 where figures of processes are wanted, else 0
-- Sent again: no; it would be added twice (of the events an end counts what is true)

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/root.lua"

local args = cjson.decode(ARGV[1])
local figures = root .. ':figures'
for field, amount in pairs(args.fields) do redis.call('HINCRBY', figures, field, amount) end
for id, count in pairs(args.events) do
  -- Of an execution that nobody holds its end counts them, or has.
  local fence = redis.call('HGET', key('log', id), 'fence')
  if fence and fence ~= '' then
    redis.call('HINCRBY', key('log', id), 'counted', count)
    redis.call('HINCRBY', figures, 'events_total', count)
  end
end
return redis.call('EXISTS', root .. ':figures-wanted')
