-- starting → running: the CLI may be let go only after this. A list is told of the first start of its task.
-- Arguments: id, fence, fields JSON, event, task.started for its list or ''
-- Answers: started lastSeq | stale | cancelled
-- Sent again: yes; under the same fence it answers the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/last-seq.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "./include/begin-session.lua"
--- @include "./include/enter.lua"
--- @include "./include/get.lua"
--- @include "./include/has-lease.lua"
--- @include "./include/set-all.lua"
--- @include "./include/set.lua"

local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
if get(id, 'state') == 'running' then return {'started', lastSeq(id)} end
-- Others may take it at any moment, and nothing has been done yet: it is queued again.
if not hasLease(id) then return {'stale'} end
if get(id, 'cancelBy') then return {'cancelled'} end
if not enter(id, 'running') then return {'stale'} end
local before = get(id, 'sessionId')
local list = get(id, 'parentId')
if list and get(id, 'attempt') == '0' then
  if enter(list, 'running') then set(list, 'startedAt', cjson.decode(ARGV[3]).startedAt) end
  writeNext(list, ARGV[5])
end
setAll(id, ARGV[3])
beginSession(id, before)
return {'started', writeNext(id, ARGV[4])}
