-- An acceptance: the record, its place in the queue and the first event of its log.
-- Arguments (JSON): id, owner, idempotencyKey?, requestDigest, maxQueue, score, hasAttachments? (put aside by its id),
--   new: {fields (those that this script looks at), wantedBudget, before, after (the event around its position)},
--   scheduleId? (that asks for it), planned? (of a moment of that: settle-schedule.lua),
--   session?: {reference (session or execution to resume), fork, workspace?, follows? (waits for its turn)};
--   then the fields of the record and their values, in turn
-- Answers: created position isLimited (how many its owner may have at work) | waiting |
--   replayed id | conflict id | full | withdrawn | settled (the planned moment) |
--   refused why detail (join-session.lua) | over unit limit spent reserved wanted next day (weigh.lua)
-- Sent again: yes; the id is new with each submission, and one that is known answers created

--- @include "../../../events/lua/include/write-first.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/admit.lua"
--- @include "./include/begin-deadline.lua"
--- @include "./include/get.lua"
--- @include "./include/join-session.lua"
--- @include "./include/keep-attachments.lua"
--- @include "./include/limit-of.lua"
--- @include "./include/queue-new.lua"
--- @include "./include/record.lua"

local args = cjson.decode(ARGV[1])
local session = args.session
local function join() return session and joinSession(args.id, args.owner, session, args.new.fields.simulated) end
local answer = admit(args, args.id, args.new, join)
if answer then return answer end
redis.call('HSET', record(args.id), unpack(ARGV, 2))
if args.hasAttachments then keepAttachments(args.id) end
if get(args.id, 'follows') then
  redis.call('ZADD', root .. ':following', args.score, args.id)
  writeFirst(args.id, args.new.before .. 0 .. args.new.after)
  return {'waiting'}
end
beginDeadline(args.id)
return {'created', queueNew(args.id, args.score, args.owner, args.new), limitOf(args.owner) and 1 or 0}
