-- A credential has had its turn: the next one of its worker's is another's, as their weights are. Alone it needs none.

--- @include "../../../../platform/lua/include/root.lua"

local TURNS_KEPT_MS = 24 * 60 * 60 * 1000

local function takeTurn(chosen, offered)
  if offered < 2 then return end
  local turns = root .. ':credential-turns'
  local clock = tonumber(redis.call('HGET', turns, '') or '0')
  redis.call('HSET', turns, '', math.max(clock, chosen.start), chosen.name, chosen.turn)
  redis.call('PEXPIRE', turns, TURNS_KEPT_MS)
end
