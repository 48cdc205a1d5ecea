-- A follow-up whose turn may have come: whoever ended the one before it, or a fork of its session, did not call it.
-- Arguments: id
-- Answers: ready id claim priority | orphan (its turn never comes) | waiting
-- Sent again: yes; an answer that was lost leaves a queued record without a job, which the sweep repairs

--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/get.lua"
--- @include "./include/take-over.lua"

local id = ARGV[1]
if not get(id, 'follows') then redis.call('ZREM', root .. ':following', id) end
local ready, neverComes = takeOver(id)
if neverComes then return {'orphan'} end
if #ready == 0 then return {'waiting'} end
return {'ready', unpack(ready)}
