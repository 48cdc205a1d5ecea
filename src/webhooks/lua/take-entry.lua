-- Turns an entry of the outbox into deliveries, once: it is gone in the same step.
-- Arguments (JSON): entry (its id), deliveries (as include/add-delivery.lua takes them), most (that may wait for each)
-- Answers: 1 | 0 where another process has taken it
-- Sent again: yes; the second time it is gone, and its deliveries are there

--- @include "../../platform/lua/include/root.lua"
--- @include "./include/add-delivery.lua"

local args = cjson.decode(ARGV[1])
if redis.call('XDEL', root .. ':outbox', args.entry) == 0 then return 0 end
for _, delivery in ipairs(args.deliveries) do addDelivery(delivery, args.most) end
return 1
