-- Removes a token. Its executions stay, and belong to an id that is not given again; its limit goes with the last of
--   them. → whether it was there

--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./announce.lua"
--- @include "./limit-owner.lua"

local function dropToken(id)
  local execution = redis.call('HGET', key('token', id), 'executionId')
  local wasThere = redis.call('DEL', key('token', id)) == 1
  redis.call('ZREM', root .. ':tokens', id)
  redis.call('ZREM', root .. ':token-ends', id)
  if execution then redis.call('SREM', key('tokens-of', execution), id) end
  if redis.call('EXISTS', key('index', id)) == 0 then limitOwner(id, nil) end
  if wasThere then announce('removed', id) end
  return wasThere
end
