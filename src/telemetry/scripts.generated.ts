// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'add-figures': `local args = cjson.decode(ARGV[1])
local figures = root .. ':figures'
for field, amount in pairs(args.fields) do redis.call('HINCRBY', figures, field, amount) end
for id, count in pairs(args.events) do
  local fence = redis.call('HGET', key('log', id), 'fence')
  if fence and fence ~= '' then
    redis.call('HINCRBY', key('log', id), 'counted', count)
    redis.call('HINCRBY', figures, 'events_total', count)
  end
end
return redis.call('EXISTS', root .. ':figures-wanted')`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccAddFigures: join(
    'platform/include/root', 'platform/include/key', 'add-figures',
  ),
}
