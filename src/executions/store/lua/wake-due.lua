-- The next execution whose time has come takes its place in the queue.
-- Arguments: none
-- Answers: {id, claim, priority} or {}
-- Sent again: yes; an answer that was lost leaves a queued record without a job, which the sweep repairs

--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter-queue.lua"
--- @include "./include/get.lua"
--- @include "./include/record.lua"

for _, id in ipairs(redis.call('ZRANGEBYSCORE', root .. ':due', '-inf', nowMs(), 'LIMIT', 0, 100)) do
  redis.call('ZREM', root .. ':due', id)
  redis.call('ZREM', root .. ':delayed', id)
  if get(id, 'state') == 'queued' then
    redis.call('HDEL', record(id), 'notBefore')
    enterQueue(id, get(id, 'score'))
    return {id, redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
  end
end
return {}
