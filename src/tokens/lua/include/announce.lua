-- Tells every API process that a token has changed: at once by a message, in any case by the revision.
-- what: changed | removed

--- @include "../../../platform/lua/include/root.lua"

local function announce(what, id)
  redis.call('INCR', root .. ':token-revision')
  redis.call('PUBLISH', root .. ':token-changes', what .. ' ' .. id)
end
