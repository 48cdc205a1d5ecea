-- An event that a script writes by itself: it comes without its seq, which only the script knows. → seq

--- @include "./last-seq.lua"
--- @include "./write.lua"

local function writeNext(id, event)
  local seq = lastSeq(id) + 1
  write(id, seq, string.format('{"seq":%d,', seq) .. event)
  return seq
end
