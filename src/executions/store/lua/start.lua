-- starting → running: the CLI may be let go only after this. A list is told of the first start of its task.
-- Arguments (JSON): id, fence, fields, event, listEvent?: task.started for its list
-- Answers: started lastSeq batches… (the log so far, in order; none where it is long) | stale | cancelled
-- Sent again: yes; under the same fence it answers the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "./include/begin-session.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/need-folders.lua"
--- @include "./include/note-outbox.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"

-- The first attempt finds the acceptance and what hooks have said; a log that is longer is read when it is needed.
local SHORT = 32

local args = cjson.decode(ARGV[1])
local id = args.id
local function started(last)
  local answer = {'started', last}
  if last > SHORT then return answer end
  for _, entry in ipairs(redis.call('XRANGE', key('events', id), '-', '+')) do answer[#answer + 1] = entry[2][2] end
  return answer
end
if not holdsFence(id, args.fence) then return {'stale'} end
local state = get(id, 'state')
if state == 'running' or state == 'paused' then return started(lastSeq(id)) end
-- Others may take it at any moment, and nothing has been done yet: it is queued again.
if not hasLease(id) then return {'stale'} end
if get(id, 'cancelBy') then return {'cancelled'} end
if not enter(id, 'running') then return {'stale'} end
local before = get(id, 'sessionId')
local list = get(id, 'parentId')
if list and get(id, 'attempt') == '0' then
  if enter(list, 'running') then
    set(list, 'startedAt', args.fields.startedAt)
    noteOutbox(list, 'execution.started')
  end
  writeNext(list, args.listEvent)
end
local isFirst = get(id, 'attempt') == '0'
setAll(id, args.fields)
-- It was handed a CLI that stood by, in folders of another id.
if args.fields.home then needFolders(id) end
beginSession(id, before)
local last = writeNext(id, args.event)
if isFirst then noteOutbox(id, 'execution.started') end
return started(last)
