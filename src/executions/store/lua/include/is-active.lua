-- A state in which a worker holds the execution.

local function isActive(state) return state == 'starting' or state == 'running' or state == 'paused' end
