-- Forgets an owner of which nothing is kept any more.
-- Arguments: owner
-- Answers: OK
-- Sent again: yes

--- @include "./include/forget-owner.lua"

forgetOwner(ARGV[1])
return 'OK'
