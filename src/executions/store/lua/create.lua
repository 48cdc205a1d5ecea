-- An acceptance: the record, its place in the queue and the first event of its log.
-- Arguments (JSON): id, owner, idempotencyKey?, requestDigest, maxQueue, score, new: {fields, before, after} (the
--   record, and the event
--   before and after its position), session?: {reference (session or execution to resume), fork, workspace?}
-- Answers: created position | replayed id | conflict id | full | withdrawn | refused why detail (join-session.lua) |
--   over unit limit spent reserved wanted next day (weigh.lua)
-- Sent again: yes; the id is new with each submission, and one that is known answers created

--- @include "./include/admit.lua"
--- @include "./include/join-session.lua"
--- @include "./include/queue-new.lua"

local args = cjson.decode(ARGV[1])
local session = args.session
local function join() return session and joinSession(args.id, args.owner, session, args.new.fields.simulated) end
return admit(args, args.id, args.new.fields, join) or {'created', queueNew(args.id, args.score, args.new)}
