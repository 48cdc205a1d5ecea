-- A hook of the operator has run for a list: written to its log by the holder of the fence of its task, or of its own.
-- Arguments: list, holder, fence, number (of this holder), event, hooks before the list that have decided or '', refusal JSON or ''
-- Answers: told | stale
-- Sent again: yes; the same number of the same fence is told once

--- @include "../../../events/lua/include/holds-fence.lua"
--- @include "../../../events/lua/include/write-next.lua"
--- @include "./include/get.lua"
--- @include "./include/set.lua"

local list, sent = ARGV[1], ARGV[3] .. ' ' .. ARGV[4]
if not holdsFence(ARGV[2], ARGV[3]) then return {'stale'} end
if get(list, 'hookTold') == sent then return {'told'} end
set(list, 'hookTold', sent)
if ARGV[6] ~= '' then set(list, 'hooksRun', ARGV[6]) end
if ARGV[7] ~= '' then set(list, 'refusal', ARGV[7]) end
writeNext(list, ARGV[5])
return {'told'}
