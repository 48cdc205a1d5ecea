-- Whether the log of the list has recorded the end of a listed task.

local function isRecorded(task) return string.find(task, ' ', 1, true) ~= nil end
