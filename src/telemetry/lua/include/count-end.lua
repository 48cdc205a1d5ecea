-- What an end adds to the figures of the service. Part of the scripts that store an end, so each counts once.
-- figures?: {fields: {field: count}, model?, ofModel: {field without its model: count}}; nothing where metrics are off

--- @constant MODELS_KEPT "../../figure-fields.ts"
--- @constant OTHER "../../figure-fields.ts"
--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"

local function countEnd(id, given)
  if not given then return end
  local figures, models = root .. ':figures', root .. ':figure-models'
  for field, amount in pairs(given.fields) do redis.call('HINCRBY', figures, field, amount) end
  -- Some of its events were counted while they came.
  local counted = tonumber(redis.call('HGET', key('log', id), 'counted') or '0')
  redis.call('HINCRBY', figures, 'events_total', lastSeq(id) - counted)
  redis.call('HDEL', key('log', id), 'counted')
  local model = given.model
  if not model then return end
  if redis.call('SISMEMBER', models, model) == 0 then
    if redis.call('SCARD', models) >= MODELS_KEPT then model = OTHER else redis.call('SADD', models, model) end
  end
  for field, amount in pairs(given.ofModel) do redis.call('HINCRBY', figures, field .. '|' .. model, amount) end
end
