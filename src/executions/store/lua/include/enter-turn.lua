-- Stands in the line of its owner. known: its owner, where that is.

--- @include "./band-of.lua"
--- @include "./enter-line.lua"
--- @include "./get.lua"

local function enterTurn(id, score, known) enterLine(bandOf(score), known or get(id, 'owner'), {score, id}) end
