-- As how manyth waiting executions will start, for a look at several that are not alone in their priority.
-- Arguments: ids…
-- Answers: for each its position from 1, or '' where it does not wait
-- Sent again: yes

--- @include "./include/position-of.lua"

local positions = {}
for index, id in ipairs(ARGV) do positions[index] = positionOf(id) or '' end
return positions
