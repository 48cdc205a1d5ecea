-- Takes a ticket: of any number of calls one gets it.
-- Arguments: SHA-256 of the ticket
-- Answers: what it stands for (JSON) | nil
-- Sent again: no; where an answer was lost the ticket is gone

--- @include "../../platform/lua/include/key.lua"

local meaning = redis.call('GET', key('ticket', ARGV[1]))
if not meaning then return nil end
redis.call('DEL', key('ticket', ARGV[1]))
redis.call('ZREM', key('tickets-of', cjson.decode(meaning).tokenId), ARGV[1])
return meaning
