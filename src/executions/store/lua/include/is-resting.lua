-- A state in which an execution is parked: a decision, or a higher budget, lets it go on.

local function isResting(state) return state == 'waiting_budget' or state == 'waiting_approval' end
