-- As how manyth waiting executions will start.
-- Arguments: ids…
-- Answers: for each, as include/turn-of.lua
-- Sent again: yes; writes nothing

--- @include "./include/turn-of.lua"

local answers = {}
for index, id in ipairs(ARGV) do answers[index] = turnOf(id) end
return answers
