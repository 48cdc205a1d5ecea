-- Revokes a token.
-- Arguments: id
-- Answers: 1 | 0 where there is no such token (any more)
-- Sent again: yes; the second time it is not there

--- @include "./include/drop-token.lua"

return dropToken(ARGV[1]) and 1 or 0
