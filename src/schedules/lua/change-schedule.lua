-- Changes a schedule that stands where it was read. Moments that were due and not settled are told as skipped.
-- Arguments (JSON): id, after and revision (as read), fields, to (as settle-moments), next?,
--   moments
-- Answers: changed | moved (read it again) | missing | taken id (its name)
-- Sent again: yes; the second time it has moved

--- @include "../../platform/lua/include/key.lua"
--- @include "./include/settle-moments.lua"
--- @include "./include/stands-at.lua"

local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
local schedule = key('schedule', id)
if redis.call('EXISTS', schedule) == 0 then return {'missing'} end
if not standsAt(id, args.after, args.revision) then return {'moved'} end
local owner, name = unpack(redis.call('HMGET', schedule, 'owner', 'name'))
local names = key('schedule-names', owner)
if fields.name ~= name then
  local taken = redis.call('HGET', names, fields.name)
  if taken then return {'taken', taken} end
  redis.call('HDEL', names, name)
  redis.call('HSET', names, fields.name, id)
end
for field, value in pairs(fields) do redis.call('HSET', schedule, field, value) end
redis.call('HINCRBY', schedule, 'revision', 1)
settleMoments(args)
return {'changed'}
