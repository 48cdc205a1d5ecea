-- Whether an id is that of a token that the API made. Configured ones are not kept here; none has an id like these.

local function isMade(id) return #id == 36 and string.find(id, '^tok_%x+$') ~= nil end
