-- A state that nothing may follow.

--- @constant TRANSITIONS "../../../records/execution-state.ts"

local function isEnded(state) return next(TRANSITIONS[state]) == nil end
