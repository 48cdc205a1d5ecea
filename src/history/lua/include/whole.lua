-- A number as Redis takes whole numbers: it knows no -0.

local function whole(number) return string.format('%.0f', number + 0) end
