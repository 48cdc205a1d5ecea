-- What webhooks are to tell of, in the step in which it happens; where nobody wants to hear of this owner's executions
--   nothing is written. The state is what it has become, and an outcome is there already.

--- @include "../../../../platform/lua/include/now-ms.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "./record.lua"

local TOLD = {'owner', 'state', 'kind', 'metadata', 'parentId', 'webhooks'}

local function noteOutbox(id, type, approvalId)
  local owner = redis.call('HGET', record(id), 'owner')
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner or '', '*')
  if not hearers[1] and not hearers[2] then return end
  local entry = {'type', type, 'timestamp', nowMs(), 'executionId', id}
  for index, value in ipairs(redis.call('HMGET', record(id), unpack(TOLD))) do
    if value then
      entry[#entry + 1] = TOLD[index]
      entry[#entry + 1] = value
    end
  end
  local outcome = redis.call('HGET', record(id), 'outcome')
  local code = outcome and cjson.decode(outcome).code
  if code then
    entry[#entry + 1] = 'code'
    entry[#entry + 1] = code
  end
  if approvalId then
    entry[#entry + 1] = 'approvalId'
    entry[#entry + 1] = approvalId
  end
  redis.call('XADD', root .. ':outbox', '*', unpack(entry))
  redis.call('PUBLISH', root .. ':outbox-news', '')
end
