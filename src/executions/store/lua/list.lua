-- A page of an owner's executions, newest first, with what a list shows of each; in one answer, where a command for each
--   took the API ten times as long as Redis.
-- Arguments: owner, newest and oldest (bounds of ids as ZREVRANGEBYLEX takes them), how many, then the fields that are
--   shown
-- Answers: one after the other for each its id, its last seq, its turn (include/turn-of.lua; {} where it does not
--   wait), its request and the fields; all of them nothing where there is no record
-- Sent again: yes; writes nothing

--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/get.lua"
--- @include "./include/record.lua"
--- @include "./include/turn-of.lua"

local owner, newest, oldest, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fields = {unpack(ARGV, 5)}
local answer, size = {}, 0
local ids = redis.call('ZREVRANGEBYLEX', key('index', owner), newest, oldest, 'LIMIT', 0, count)
for _, id in ipairs(ids) do
  local values = redis.call('HMGET', record(id), 'state', 'shortRequest', 'score', unpack(fields))
  local state = values[1]
  answer[size + 1], answer[size + 2] = id, lastSeq(id)
  answer[size + 3] = state == 'queued' and turnOf(id, values[3], owner) or {}
  -- A small one is stored once.
  answer[size + 4] = values[2] or (state and get(id, 'request'))
  answer[size + 5] = state
  for index = 1, #fields do answer[size + 5 + index] = values[3 + index] end
  size = size + 5 + #fields
end
return answer
