-- A hook of the operator has run for a list: written to its log by the holder of the fence of its task, or of its own.
-- Arguments (JSON): list, holder, fence, number (of this holder), event, hooksRun? (hooks before the list that have
--   decided),
--   refusal? (JSON text)
-- Answers: recorded | stale
-- Sent again: yes; the same number of the same fence is recorded once

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "../../../platform/lua/include/exceed-memory.lua"
--- @include "./include/get.lua"
--- @include "./include/set.lua"

exceedMemory()
local args = cjson.decode(ARGV[1])
local list, sent = args.list, args.fence .. ' ' .. args.number
if not holdsFence(args.holder, args.fence) then return {'stale'} end
if get(list, 'hookTold') == sent then return {'recorded'} end
set(list, 'hookTold', sent)
if args.hooksRun then set(list, 'hooksRun', args.hooksRun) end
if args.refusal then set(list, 'refusal', args.refusal) end
writeNext(list, args.event)
return {'recorded'}
