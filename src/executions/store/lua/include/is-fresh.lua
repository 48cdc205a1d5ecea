-- Whether a workspace bears the id of an execution, as those do that nobody has named. As workspace-name.ts has it: a
--   name that only looks similar is one that somebody has chosen.

local FRESH = '^' .. string.rep('[0-9a-f]', 8) .. string.rep('%-' .. string.rep('[0-9a-f]', 4), 3) .. '%-' ..
  string.rep('[0-9a-f]', 12) .. '$'

local function isFresh(name) return string.match(name, FRESH) ~= nil end
