-- An acceptance: the record, its place in the queue and the first event of its log.
-- Arguments: id, owner, idempotency key or '', request digest, maxQueue, score, record JSON, event before and after its position,
--   session or execution to resume or '', whether to fork it ('1'), workspace that was asked for or ''
-- Answers: created position | replayed id | conflict id | full | refused why detail (join-session.lua) |
--   over unit limit spent reserved wanted next day (weigh.lua)
-- Sent again: yes; the id is new with each submission, and one that is known answers created

--- @include "./include/admit.lua"
--- @include "./include/join-session.lua"
--- @include "./include/queue-new.lua"

local id = ARGV[1]
local function join()
  if ARGV[10] ~= '' then return joinSession(id, ARGV[2], ARGV[10], ARGV[11] == '1', ARGV[12], cjson.decode(ARGV[7]).simulated) end
end
return admit(id, ARGV[2], ARGV[3], ARGV[4], ARGV[5], id, ARGV[7], join) or {'created', queueNew(id, ARGV[6], ARGV[7], ARGV[8], ARGV[9])}
