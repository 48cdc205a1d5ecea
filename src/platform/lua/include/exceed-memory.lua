-- For what must be told also where Redis is at its maxmemory, or frees memory: until a script has written, Redis
--   refuses it commands that may need some, and after a first write, even one without effect, none. (The flag allow-oom
--   says the same from Redis 7 on; 6.2 takes no flags.)

--- @include "./root.lua"

local function exceedMemory() redis.call('DEL', root .. ':nothing') end
