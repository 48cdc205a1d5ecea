-- A page of an owner's executions, newest first, with what a list shows of each; in one answer, where a command for each
--   took the API ten times as long as Redis.
-- Arguments: owner, newest and oldest (bounds of ids as ZREVRANGEBYLEX takes them), how many, then the fields that are
--   shown
-- Answers: one after the other for each its id, its last seq, its turn (include/turn-of.lua; {} where it does not
--   wait), its request, and in a list its state, its short request, its score and the fields; all of them nothing where
--   there is no record
-- Sent again: yes; writes nothing

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/band-of.lua"
--- @include "./include/get.lua"
--- @include "./include/is-alone.lua"
--- @include "./include/record.lua"
--- @include "./include/turn-of.lua"

local owner, newest, oldest, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fields = {unpack(ARGV, 5)}
local answer, size = {}, 0

-- Asked once for a page: three commands less for each of its rows.
local alone = {}
local function turnIn(id, score)
  local band = bandOf(score)
  if alone[band] == nil then alone[band] = isAlone(band) end
  if not alone[band] then return turnOf(id, score, owner) end
  local rank = redis.call('ZRANK', root .. ':waiting', id)
  return rank and {rank + 1} or {}
end

local ids = redis.call('ZREVRANGEBYLEX', key('index', owner), newest, oldest, 'LIMIT', 0, count)
for _, id in ipairs(ids) do
  local values = redis.call('HMGET', record(id), 'state', 'shortRequest', 'score', unpack(fields))
  local state = values[1]
  answer[size + 1], answer[size + 2] = id, lastSeq(id)
  answer[size + 3] = state == 'queued' and turnIn(id, values[3]) or {}
  -- A small one is stored once.
  answer[size + 4] = values[2] or (state and get(id, 'request'))
  answer[size + 5] = values
  size = size + 5
end
return answer
