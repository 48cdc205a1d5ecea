-- Under which kind an execution is counted.

local function kindOf(simulated) return simulated == '1' and 'simulated' or 'real' end
