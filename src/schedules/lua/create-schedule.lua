-- Makes a schedule. An Idempotency-Key of its token leads to the one that was made with it first.
-- Arguments (JSON): id, fields, next?, ofToken and inAll (how many there may be), key? (the Idempotency-Key), digest
--   (of the request)
-- Answers: created | withdrawn (the token) | taken id (its name) | full_of_token | full | replayed id | conflict
-- Sent again: yes; the id is new with each request

--- @include "../../platform/lua/include/key.lua"
--- @include "../../platform/lua/include/root.lua"
--- @include "../../tokens/lua/include/is-withdrawn.lua"
--- @include "./include/plan-next.lua"

-- As for executions.
local KEY_MS = 24 * 60 * 60 * 1000

local args = cjson.decode(ARGV[1])
local id, fields = args.id, args.fields
local owner = fields.owner
if redis.call('EXISTS', key('schedule', id)) == 1 then return {'created'} end
if isWithdrawn(owner) then return {'withdrawn'} end
local reservation = args.key and key('schedule-key', owner .. ':' .. args.key)
local known = reservation and redis.call('GET', reservation)
if known then
  local knownId, digest = string.match(known, '^(%S+) (%S+)$')
  return {digest == args.digest and 'replayed' or 'conflict', knownId}
end
local taken = redis.call('HGET', key('schedule-names', owner), fields.name)
if taken then return {'taken', taken} end
if redis.call('HLEN', key('schedule-names', owner)) >= args.ofToken then return {'full_of_token'} end
if redis.call('ZCARD', root .. ':schedules') >= args.inAll then return {'full'} end
for name, value in pairs(fields) do redis.call('HSET', key('schedule', id), name, value) end
redis.call('HSET', key('schedule-names', owner), fields.name, id)
redis.call('ZADD', root .. ':schedules', 0, id)
redis.call('ZADD', key('schedules', owner), 0, id)
planNext(id, args.next)
if reservation then redis.call('SET', reservation, id .. ' ' .. args.digest, 'PX', KEY_MS) end
return {'created'}
