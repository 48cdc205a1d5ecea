-- What became of moments, in order; the last ones are kept. Webhooks hear of those whose request was not accepted.
-- moments: JSON of each

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/now-ms.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @constant SHOWN_MOMENTS "../../../protocol/limits.ts"

local function noteMoments(id, moments)
  if #moments == 0 then return end
  redis.call('LPUSH', key('schedule-moments', id), unpack(moments))
  redis.call('LTRIM', key('schedule-moments', id), 0, SHOWN_MOMENTS - 1)
  local owner, name = unpack(redis.call('HMGET', key('schedule', id), 'owner', 'name'))
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner or '', '*')
  if not (hearers[1] or hearers[2]) then return end
  for _, text in ipairs(moments) do
    local moment = cjson.decode(text)
    if moment.outcome == 'failed' then
      redis.call('XADD', root .. ':outbox', '*', 'type', 'schedule.failed', 'timestamp', nowMs(), 'owner', owner,
        'scheduleId', id, 'name', name, 'plannedAt', moment.plannedAt, 'code', moment.code)
    end
  end
end
