-- The root of every key of a deployment.

local root = KEYS[1]
