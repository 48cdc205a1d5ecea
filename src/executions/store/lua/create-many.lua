-- Acceptances that came together: as create, of records that bring no session, no attachments, no budget and no moment
--   of a schedule. One that is refused, or fails, is no other's matter.
-- Arguments: maxQueue, sharedWorkspaces (JSON), then of each record: id, idempotencyKey or '', before and after (the
--   event around its position), how many fields, and fields and values in turn
-- Answers: one for each, as create gives it | failed message
-- Sent again: yes; as create

--- @include "../../../events/lua/include/write-first.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "../../../tokens/lua/include/is-withdrawn.lua"
--- @include "./include/band-of.lua"
--- @include "./include/count-queued.lua"
--- @include "./include/enter-line.lua"
--- @include "./include/find-reserved.lua"
--- @include "./include/is-in-order.lua"
--- @include "./include/limit-of.lua"
--- @include "./include/own-workspace.lua"
--- @include "./include/position-of.lua"
--- @include "./include/record.lua"

local shared = cjson.decode(ARGV[2])
local room = tonumber(ARGV[1]) - countQueued()
local answers, accepted, withdrawn = {}, {}, {}

local function isGone(owner)
  if withdrawn[owner] == nil then withdrawn[owner] = isWithdrawn(owner) end
  return withdrawn[owner]
end

local function accept(id, name, fields, first, last)
  local owner, workspace = fields.owner, fields.workspace
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  if isGone(owner) then return {'withdrawn'} end
  local reservation, known = findReserved(owner, name, fields.requestDigest)
  if known then return known end
  -- The usual one is its own, and nobody else's.
  local isNamed = workspace ~= id
  if isNamed and isOwnedByOther(owner, workspace, shared) then return {'refused', 'not_owned', workspace} end
  if room <= 0 then return {'full'} end
  if isNamed then ownWorkspace(owner, workspace, shared) end
  if reservation then redis.call('SET', reservation, id .. ' ' .. fields.requestDigest) end
  redis.call('HSET', record(id), unpack(ARGV, first, last))
  room = room - 1
end

-- What Redis says to the first write where it takes none at all is everybody's answer, as it would be without others.
local function failureOf(fault)
  redis.call('SET', root .. ':events-draft', '')
  redis.call('DEL', root .. ':events-draft')
  return {'failed', type(fault) == 'table' and fault.err or tostring(fault)}
end

local at = 3
while at <= #ARGV do
  local first, last = at + 5, at + 4 + 2 * ARGV[at + 4]
  local new = {id = ARGV[at], before = ARGV[at + 2], after = ARGV[at + 3], fields = {}}
  for index = first, last, 2 do new.fields[ARGV[index]] = ARGV[index + 1] end
  local isDone, answer = pcall(accept, new.id, ARGV[at + 1], new.fields, first, last)
  if not isDone then answer = failureOf(answer) end
  answers[#answers + 1] = answer or {}
  if not answer then
    new.answer = #answers
    accepted[#accepted + 1] = new
  end
  at = last + 1
end
if #accepted == 0 then return answers end

local index, waiting, deadlines, owners = {}, {}, {}, {}
local function add(list, score, id)
  list[#list + 1] = score
  list[#list + 1] = id
end
for _, new in ipairs(accepted) do
  local id, owner, score, deadline = new.id, new.fields.owner, new.fields.score, new.fields.queueDeadline
  new.band = bandOf(score)
  add(index, 0, id)
  add(waiting, score, id)
  if deadline then add(deadlines, deadline, id) end
  if not owners[owner] then owners[owner] = {ids = {}, lines = {}, limit = limitOf(owner)} end
  add(owners[owner].ids, 0, id)
  local own = owners[owner].lines
  if not own[new.band] then own[new.band] = {} end
  add(own[new.band], score, id)
end
redis.call('ZADD', root .. ':index', unpack(index))
redis.call('ZADD', root .. ':waiting', unpack(waiting))
if #deadlines > 0 then redis.call('ZADD', root .. ':deadlines', unpack(deadlines)) end
for owner, own in pairs(owners) do
  redis.call('ZADD', key('index', owner), unpack(own.ids))
  redis.call('SADD', root .. ':owners', owner)
  for band, places in pairs(own.lines) do enterLine(band, owner, places) end
end

local inOrder = {}
for _, new in ipairs(accepted) do
  local id, owner, band = new.id, new.fields.owner, new.band
  if inOrder[band] == nil then inOrder[band] = isInOrder(band) end
  local position = inOrder[band] and redis.call('ZRANK', root .. ':waiting', id) + 1
    or positionOf(id, new.fields.score, owner)
  writeFirst(id, new.before .. position .. new.after)
  answers[new.answer] = {'created', position, owners[owner].limit and 1 or 0}
end
return answers
