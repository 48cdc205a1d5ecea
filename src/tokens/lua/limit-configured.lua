-- The limits of the configured tokens, as an API process found them at its start. Those of tokens that it does not know
--   stay: another process may.
-- Arguments: how many each may have at work, by id; 0: any number (JSON)
-- Answers: OK
-- Sent again: yes

--- @include "./include/limit-owner.lua"

for id, most in pairs(cjson.decode(ARGV[1])) do limitOwner(id, most > 0 and most or nil) end
return 'OK'
