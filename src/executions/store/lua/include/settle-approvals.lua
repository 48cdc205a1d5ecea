-- What an execution leaves pending is withdrawn where its attempt is over. closing: {id? of a pending one, event}, as
--   whoever asks has seen them. kept: the one that it is parked for.

--- @include "../../../../events/lua/include/write-next.lua"
--- @include "./approval.lua"
--- @include "./close-approval.lua"
--- @include "./open-approvals.lua"

local function settleApprovals(id, closing, kept)
  for _, entry in ipairs(closing or {}) do
    local isOpen = entry.id and redis.call('HGET', approval(entry.id), 'status') == 'pending'
    if isOpen then closeApproval(entry.id, 'withdrawn') end
    if isOpen or not entry.id then writeNext(id, entry.event) end
  end
  for _, each in ipairs(openApprovals(id)) do
    if each ~= kept then closeApproval(each, 'withdrawn') end
  end
end
