-- The holder of the fence has opened its workspace: the folder itself is its own as well, by whatever name others would
--   come to it. Where somebody has it, the execution waits: starting → queued.
-- Arguments (JSON): id, fence, places
-- Answers: taken ready… | parked ready… | cancelled | stale | refused state
-- Sent again: yes; parked the second time is stale, which leads to the same

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/take-fence.lua"
--- @include "../../../platform/lua/include/key.lua"
--- @include "../../../platform/lua/include/root.lua"
--- @include "./include/enter.lua"
--- @include "./include/find-held.lua"
--- @include "./include/get.lua"
--- @include "./include/hold-folders.lua"
--- @include "./include/holder-of.lua"
--- @include "./include/holds-workspace.lua"
--- @include "./include/let-go.lua"
--- @include "./include/park.lua"
--- @include "./include/pass-work.lua"
--- @include "./include/places-of.lua"
--- @include "./include/record.lua"
--- @include "./include/set.lua"

local args = cjson.decode(ARGV[1])
local id, places = args.id, args.places
if not holdsFence(id, args.fence) then return {'stale'} end
local state = get(id, 'state')
if state ~= 'starting' then return {'refused', state or 'missing'} end
local owner, wanted = holderOf(id), cjson.encode(places)
local isOwn = true
for _, place in ipairs(places) do isOwn = isOwn and redis.call('GET', key('workspace', place)) == owner end
if isOwn then return {'taken'} end
local held = findHeld(owner, places)
if not held then
  -- An attempt before this one may have been on another machine.
  local ready = letGo(owner, placesOf(owner))
  holdFolders(owner, places)
  set(owner, 'places', wanted)
  return {'taken', unpack(ready)}
end
if get(id, 'cancelBy') then return {'cancelled'} end
takeFence(id)
enter(id, 'queued')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
local ready = passWork(id)
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
park(id, held)
set(id, 'wantedPlaces', wanted)
-- Its name it needs only with the folder, unless it has worked there already.
local workspace = get(id, 'workspaceLock')
if workspace and not holdsWorkspace(owner) then
  for _, value in ipairs(letGo(owner, {workspace})) do ready[#ready + 1] = value end
end
return {'parked', unpack(ready)}
