-- Settles moments that start nothing.
-- Arguments (JSON): after and revision (as read), and a step as settle-moments takes it
-- Answers: settled | moved (somebody else has, or it was changed or removed)
-- Sent again: yes; the second time it has moved

--- @include "./include/settle-moments.lua"
--- @include "./include/stands-at.lua"

local step = cjson.decode(ARGV[1])
if not standsAt(step.id, step.after, step.revision) then return 'moved' end
settleMoments(step)
return 'settled'
