-- What an execution leaves pending is withdrawn where its attempt is over. closing: {id? of a pending one, event}, as
--   whoever asks has seen them.

--- @include "../../../../events/lua/include/write-next.lua"
--- @include "./approval.lua"
--- @include "./close-approval.lua"
--- @include "./open-approvals.lua"

-- Whether exactly those are pending that the caller has seen.
local function isSeen(id, closing)
  local count = 0
  for _, entry in ipairs(closing or {}) do
    if entry.id then
      count = count + 1
      if redis.call('HGET', approval(entry.id), 'status') ~= 'pending' then return false end
    end
  end
  return count == #openApprovals(id)
end

local function settleApprovals(id, closing)
  for _, entry in ipairs(closing or {}) do
    local isOpen = entry.id and redis.call('HGET', approval(entry.id), 'status') == 'pending'
    if isOpen then closeApproval(entry.id, 'withdrawn') end
    if isOpen or not entry.id then writeNext(id, entry.event) end
  end
  for _, each in ipairs(openApprovals(id)) do closeApproval(each, 'withdrawn') end
end
