/**
 * The log's share of every script, as Lua functions. A log is two keys:
 *   log:<id>     hash    fence, lastSeq, bytes (stored so far), lastBatch (who wrote it: fence:first:last:digest)
 *   events:<id>  stream  one entry per batch, its id is <last seq>-0, its field `e` the events, one a line
 * Because an entry's id is its last seq, the entries after a cursor c are exactly those with an id above c-0.
 * Every write is also published on channel:<id>, in the same step: history and live are never apart.
 */
export const LOG_LUA = `
local root = KEYS[1]
local function key(kind, id) return root .. ':' .. kind .. ':' .. id end
local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local function holdsFence(id, fence) return redis.call('HGET', key('log', id), 'fence') == fence end
local function takeFence(id)
  local fence = redis.call('INCR', root .. ':fence')
  redis.call('HSET', key('log', id), 'fence', fence)
  return tostring(fence)
end
local function lastSeq(id) return tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '0') end

local function write(id, last, lines)
  redis.call('XADD', key('events', id), string.format('%d-0', last), 'e', lines)
  redis.call('HSET', key('log', id), 'lastSeq', last)
  redis.call('HINCRBY', key('log', id), 'bytes', #lines)
  redis.call('PUBLISH', key('channel', id), lines)
end

-- An event that a script writes by itself: it comes without its seq, which only the script knows.
local function writeNext(id, event)
  local seq = lastSeq(id) + 1
  write(id, seq, string.format('{"seq":%d,', seq) .. event)
  return seq
end

-- ok | stale | dup | gap: a batch is taken only from the holder of the fence and only where the log ends.
local function appendBatch(id, fence, first, last, digest, lines)
  if not holdsFence(id, fence) then return 'stale' end
  local current = lastSeq(id)
  local signature = table.concat({fence, first, last, digest}, ':')
  if first ~= current + 1 then
    if redis.call('HGET', key('log', id), 'lastBatch') == signature then return 'dup' end
    return 'gap:' .. current
  end
  write(id, last, lines)
  redis.call('HSET', key('log', id), 'lastBatch', signature)
  return 'ok'
end
`

/** KEYS root · ARGV id, fence, first, last, digest, lines → ok | stale | dup | gap:<lastSeq> */
export const APPEND_LUA = `${LOG_LUA}
return appendBatch(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6])
`

/** KEYS root · ARGV id, after, maxBytes → {lastSeq | -1 where there is no log, entries…}: at least one entry if there is any, then as many as fit. */
export const READ_LUA = `${LOG_LUA}
local id, maxBytes = ARGV[1], tonumber(ARGV[3])
local last = redis.call('HGET', key('log', id), 'lastSeq')
if not last then return {-1} end
local answer, size, cursor = {tonumber(last)}, 0, '(' .. ARGV[2] .. '-0'
while size < maxBytes do
  local entries = redis.call('XRANGE', key('events', id), cursor, '+', 'COUNT', 16)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    local lines = entry[2][2]
    if size > 0 and size + #lines > maxBytes then return answer end
    answer[#answer + 1] = lines
    size = size + #lines
    cursor = '(' .. entry[1]
  end
end
return answer
`

/** KEYS root · ARGV id → {lastSeq | -1, last entry?} */
export const READ_LAST_LUA = `${LOG_LUA}
local id = ARGV[1]
local last = redis.call('HGET', key('log', id), 'lastSeq')
if not last then return {-1} end
local entry = redis.call('XREVRANGE', key('events', id), '+', '-', 'COUNT', 1)[1]
return {tonumber(last), entry and entry[2][2]}
`
