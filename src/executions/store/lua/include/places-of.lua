-- What an execution, or a list, has beside the name of its workspace: the folder itself, as its worker found it.

--- @include "./get.lua"

local function placesOf(id)
  local places = get(id, 'places')
  return places and cjson.decode(places) or {}
end
