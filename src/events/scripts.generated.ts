// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/exceed-memory': `local function exceedMemory() redis.call('DEL', root .. ':nothing') end`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'include/holds-fence': `local function holdsFence(id, fence) return redis.call('HGET', key('log', id), 'fence') == fence end`,
  'include/last-seq': `local function lastSeq(id) return tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '0') end`,
  'platform/include/now-ms': `local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end`,
  'include/owe-follow-up': `local OWED_MS = 2 * 24 * 60 * 60 * 1000
local function oweFollowUp(id, number)
  redis.call('ZADD', root .. ':owed', nowMs(), id .. ' ' .. number)
  local message = cjson.decode(redis.call('HGET', key('messages', id), number))
  if not message.attachments then return end
  local kept, own = key('attachments', id), key('attachments', message.followUpId)
  for _, each in ipairs(message.attachments) do
    local bytes = each.sha256 and redis.call('HGET', kept, each.sha256)
    if bytes then redis.call('HSET', own, each.sha256, bytes) end
  end
  redis.call('PEXPIRE', own, OWED_MS)
end`,
  'include/mark-message': `local function markMessage(id, kind, messageId, at, reason, sent)
  local messages = key('messages', id)
  local number = redis.call('HGET', messages, 'number:' .. messageId)
  if not number then return end
  if kind == 'accepted' then
    redis.call('HDEL', messages, 'event:' .. number)
    if tonumber(number) > tonumber(redis.call('HGET', messages, 'noted') or '0') then
      redis.call('HSET', messages, 'noted', number)
    end
  elseif redis.call('HSETNX', messages, 'state:' .. number, kind .. ' ' .. at .. ' ' .. (reason or '')) == 1 then
    redis.call('HINCRBY', messages, 'open', -1)
    if kind == 'delivered' then
      redis.call('HDEL', messages, 'owed:' .. number)
      if sent then redis.call('HSET', messages, 'sent:' .. number, cjson.encode(sent)) end
    elseif redis.call('HEXISTS', messages, 'owed:' .. number) == 1 then
      oweFollowUp(id, number)
    end
  end
end`,
  'include/mark-messages': `local function markMessages(id, lines)
  for line in string.gmatch(lines, '[^\\n]+') do
    local kind = string.match(line, '^{"seq":%d+,"type":"message%.(%a+)"')
    if kind then
      local event = cjson.decode(line)
      markMessage(id, kind, event.data.messageId, event.at, event.data.reason, event.data.attachments)
    end
  end
end`,
  'include/write': `local function write(id, last, lines)
  redis.call('XADD', key('events', id), string.format('%d-0', last), 'e', lines)
  redis.call('HSET', key('log', id), 'lastSeq', last)
  redis.call('HINCRBY', key('log', id), 'bytes', #lines)
  redis.call('PUBLISH', key('channel', id), lines)
end`,
  'append': `local function appendBatch(id, fence, first, last, digest, lines)
  if not holdsFence(id, fence) then return 'stale' end
  local current = lastSeq(id)
  local signature = table.concat({fence, first, last, digest}, ':')
  if first ~= current + 1 then
    if redis.call('HGET', key('log', id), 'lastBatch') == signature then return 'dup' end
    return 'gap:' .. current
  end
  write(id, last, lines)
  redis.call('HSET', key('log', id), 'lastBatch', signature)
  if ARGV[8] == '1' then markMessages(id, lines) end
  return 'ok'
end
if ARGV[7] == '1' then exceedMemory() end
return appendBatch(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6])`,
  'read-ends': `local ends = {}
for index, id in ipairs(ARGV) do
  ends[index] = tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '-1')
end
return ends`,
  'read-last': `local id = ARGV[1]
local last = redis.call('HGET', key('log', id), 'lastSeq')
if not last then return {-1} end
local entry = redis.call('XREVRANGE', key('events', id), '+', '-', 'COUNT', 1)[1]
return {tonumber(last), entry and entry[2][2]}`,
  'read': `local function cut(lines, skipped, taken)
  local start = 1
  for _ = 1, skipped do start = string.find(lines, '\\n', start, true) + 1 end
  local stop = start - 1
  for _ = 1, taken do
    stop = string.find(lines, '\\n', stop + 1, true)
    if not stop then return string.sub(lines, start) end
  end
  return string.sub(lines, start, stop - 1)
end
local BRACE = 123
local id, after, maxBytes, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local log = redis.call('HMGET', key('log', id), 'lastSeq', 'bytes')
if not log[1] then return {-1, 0} end
local average = tonumber(log[2] or '0') / math.max(1, redis.call('XLEN', key('events', id)))
local answer, size, cursor = {tonumber(log[1]), math.floor(average)}, 0, '(' .. ARGV[2] .. '-0'
local count = 1
while size < maxBytes do
  local asked = count
  local entries = redis.call('XRANGE', key('events', id), cursor, '+', 'COUNT', count)
  for _, entry in ipairs(entries) do
    local lines = entry[2][2]
    if size > 0 and size + #lines > maxBytes then return answer end
    local events = 0
    local entryLast = tonumber(string.match(entry[1], '^%d+'))
    if limit > 0 and string.byte(lines) == BRACE then
      local first = tonumber(string.match(lines, '^{"seq":(%d+)'))
      events = entryLast - first + 1
      if first <= after or entryLast > after + limit then
        local skipped = math.max(0, after + 1 - first)
        lines = cut(lines, skipped, after + limit - (first + skipped) + 1)
      end
    end
    answer[#answer + 1] = lines
    if limit > 0 and entryLast >= after + limit then return answer end
    size = size + math.max(#lines, 1)
    cursor = '(' .. entry[1]
    count = math.floor((maxBytes - size) * (#answer - 2) / size)
    if events > 0 then count = math.min(count, math.ceil((after + limit - entryLast) / events)) end
    count = math.max(1, math.min(64, count))
  end
  if #entries < asked then break end
end
return answer`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccAppend: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'include/holds-fence',
    'include/last-seq', 'platform/include/now-ms', 'include/owe-follow-up', 'include/mark-message',
    'include/mark-messages', 'include/write', 'append',
  ),
  ccReadEnds: join(
    'platform/include/root', 'platform/include/key', 'read-ends',
  ),
  ccReadLast: join(
    'platform/include/root', 'platform/include/key', 'read-last',
  ),
  ccRead: join(
    'platform/include/root', 'platform/include/key', 'read',
  ),
}
