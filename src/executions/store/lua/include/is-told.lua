-- Whether the list has been told of the end of a listed task.

local function isTold(task) return string.find(task, ' ', 1, true) ~= nil end
