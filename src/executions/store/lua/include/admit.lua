-- Whether a submission is accepted, and its reservations: of its budget, its Idempotency-Key and its place in the
--   indexes.
-- payer: the id of the execution that reserves the budget, new: it as the script was given it. → an answer of
--   create.lua; nil where the record may be made

--- @include "../../../../history/lua/include/reserve.lua"
--- @include "../../../../platform/lua/include/key.lua"
--- @include "../../../../platform/lua/include/root.lua"
--- @include "../../../../schedules/lua/include/note-run.lua"
--- @include "../../../../schedules/lua/include/settle-moments.lua"
--- @include "../../../../schedules/lua/include/stands-at.lua"
--- @include "../../../../tokens/lua/include/is-withdrawn.lua"
--- @include "./count-queued.lua"
--- @include "./find-reserved.lua"
--- @include "./own-workspace.lua"
--- @include "./record.lua"
--- @include "./weigh-new.lua"

local function admit(args, payer, new, join)
  local workspace, shared = args.new.fields.workspace, args.sharedWorkspaces
  local id, owner, name, digest = args.id, args.owner, args.idempotencyKey, args.requestDigest
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  if isWithdrawn(owner) then return {'withdrawn'} end
  -- A planned moment starts one execution at most: with its acceptance, in the same step, the moment is settled.
  local planned = args.planned
  if planned and not standsAt(planned.id, planned.after, planned.revision) then return {'settled'} end
  local reservation, known = findReserved(owner, name, digest)
  if known then return known end
  if isOwnedByOther(owner, workspace, shared) then return {'refused', 'not_owned', workspace} end
  if countQueued() >= args.maxQueue then return {'full'} end
  local taken, over, kind = weighNew(owner, new.fields.simulated, new.wantedBudget)
  if over then return over end
  local refusal = join and join()
  if refusal then return {'refused', refusal[1], refusal[2]} end
  ownWorkspace(owner, workspace, shared)
  reserve(payer, owner, kind, taken)
  if reservation then redis.call('SET', reservation, id .. ' ' .. digest) end
  redis.call('ZADD', root .. ':index', 0, id)
  redis.call('ZADD', key('index', owner), 0, id)
  redis.call('SADD', root .. ':owners', owner)
  if planned then settleMoments(planned) end
  if args.scheduleId then noteRun(args.scheduleId, id) end
end
