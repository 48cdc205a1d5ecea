-- The priority of a place in the queue, as a number.

--- @constant PRIORITY_STEP "../../queue-score.ts"

local function bandOf(score) return string.format('%d', math.floor(tonumber(score) / PRIORITY_STEP)) end
