-- Adds a delivery that nothing but a test has asked for.
-- Arguments (JSON): delivery (as include/add-delivery.lua takes it), most (that may wait)
-- Answers: 1 | 0 where there is no such webhook, or too many wait
-- Sent again: yes; the id is new with each request, and what is there already is not added

--- @include "../../platform/lua/include/key.lua"
--- @include "./include/add-delivery.lua"

local args = cjson.decode(ARGV[1])
if redis.call('EXISTS', key('delivery', args.delivery.id)) == 1 then return 1 end
return addDelivery(args.delivery, args.most) and 1 or 0
