-- The folders that contain this one by its name, nearest first.

local function foldersAbove(name)
  local above, position = {}, #name
  while position > 1 do
    if string.sub(name, position, position) == '/' then above[#above + 1] = string.sub(name, 1, position - 1) end
    position = position - 1
  end
  return above
end
