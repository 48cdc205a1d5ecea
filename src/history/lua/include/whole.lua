-- A number as Redis takes whole numbers.

local function whole(number) return string.format('%.0f', number) end
