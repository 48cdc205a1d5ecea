// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run `npm run generate`.
const PARTS = {
  'platform/include/root': `local root = KEYS[1]`,
  'platform/include/key': `local function key(kind, id) return root .. ':' .. kind .. ':' .. id end`,
  'events/include/last-seq': `local function lastSeq(id) return tonumber(redis.call('HGET', key('log', id), 'lastSeq') or '0') end`,
  'events/include/write': `local function write(id, last, lines)
  redis.call('XADD', key('events', id), string.format('%d-0', last), 'e', lines)
  redis.call('HSET', key('log', id), 'lastSeq', last)
  redis.call('HINCRBY', key('log', id), 'bytes', #lines)
  redis.call('PUBLISH', key('channel', id), lines)
end`,
  'events/include/write-next': `local function writeNext(id, event)
  local seq = lastSeq(id) + 1
  write(id, seq, string.format('{"seq":%d,', seq) .. event)
  return seq
end`,
  'constant/DAY_MS': `local DAY_MS = 86400000`,
  'platform/include/now-ms': `local function nowMs() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end`,
  'history/include/book-of': `local function bookOf(kind, day, owner) return root .. ':budget:' .. kind .. ':' .. day .. ':' .. owner end`,
  'history/include/whole': `local function whole(number) return string.format('%.0f', number + 0) end`,
  'history/include/touch': `local LEDGER_KEPT_MS = 400 * 24 * 60 * 60 * 1000
local function touch(hash, field, by)
  redis.call('HINCRBY', hash, field, whole(by))
  redis.call('PEXPIRE', hash, LEDGER_KEPT_MS)
end`,
  'history/include/reserve': `local function reserve(id, owner, kind, taken)
  if not next(taken) then return end
  local day = whole(math.floor(nowMs() / DAY_MS))
  local book = bookOf(kind, day, owner)
  redis.call('HSET', key('execution', id), 'ledgerDay', day)
  for unit, amount in pairs(taken) do
    touch(book, unit .. ':reserved', amount)
    redis.call('HSET', key('execution', id), 'reserved:' .. unit, whole(amount))
  end
end`,
  'include/record': `local function record(id) return key('execution', id) end`,
  'include/get': `local function get(id, field) return redis.call('HGET', record(id), field) end`,
  'constant/TRANSITIONS': `local TRANSITIONS = {queued = {starting = true, running = true, cancelled = true, failed = true}, starting = {running = true, queued = true, waiting_budget = true, failed = true, cancelled = true}, running = {queued = true, paused = true, waiting_approval = true, waiting_budget = true, succeeded = true, failed = true, cancelled = true, timed_out = true}, paused = {queued = true, running = true, waiting_approval = true, waiting_budget = true, succeeded = true, failed = true, cancelled = true, timed_out = true}, waiting_approval = {queued = true, failed = true, cancelled = true}, waiting_budget = {queued = true, failed = true, cancelled = true}, succeeded = {}, failed = {}, cancelled = {}, timed_out = {}}`,
  'include/is-ended': `local function isEnded(state) return next(TRANSITIONS[state]) == nil end`,
  'include/is-recorded': `local function isRecorded(task) return string.find(task, ' ', 1, true) ~= nil end`,
  'events/include/take-fence': `local function takeFence(id)
  local fence = redis.call('INCR', root .. ':fence')
  redis.call('HSET', key('log', id), 'fence', fence)
  return tostring(fence)
end`,
  'include/has-lease': `local function hasLease(id)
  local lease = redis.call('ZSCORE', root .. ':leases', id)
  return lease and tonumber(lease) > nowMs()
end`,
  'include/over': `local function over(list, holdMs)
  if not holdMs then return {'over'} end
  local fence = hasLease(list) and redis.call('HGET', key('log', list), 'fence') or takeFence(list)
  redis.call('ZADD', root .. ':leases', nowMs() + holdMs, list)
  return {'over', fence}
end`,
  'events/include/write-first': `local function writeFirst(id, event)
  local lines, draft = '{"seq":1,' .. event, root .. ':events-draft'
  redis.call('XADD', key('events', id), '1-0', 'e', lines)
  redis.call('COPY', key('events', id), draft, 'REPLACE')
  redis.call('RENAME', draft, key('events', id))
  redis.call('HSET', key('log', id), 'lastSeq', 1, 'bytes', #lines)
end`,
  'constant/PRIORITY_STEP': `local PRIORITY_STEP = 100000000000000`,
  'include/band-of': `local function bandOf(score) return string.format('%d', math.floor(tonumber(score) / PRIORITY_STEP)) end`,
  'include/served-keys': `local function servedOf(band) return key('served', band) end
local function clockOf(band) return key('turn-clock', band) end`,
  'include/turn-clock': `local function turnClock(band) return tonumber(redis.call('GET', clockOf(band)) or '0') end`,
  'include/turn-keys': `local function turnsOf(band) return key('turns', band) end
local function lineOf(band, owner) return key('line', band .. ':' .. owner) end`,
  'include/enter-line': `local function enterLine(band, owner, places)
  redis.call('ZADD', lineOf(band, owner), unpack(places))
  if redis.call('ZSCORE', turnsOf(band), owner) then return end
  local served = tonumber(redis.call('ZSCORE', servedOf(band), owner) or '0')
  local tag = math.max(turnClock(band), served)
  redis.call('ZADD', turnsOf(band), tag, owner)
  redis.call('PERSIST', servedOf(band))
  redis.call('PERSIST', clockOf(band))
end`,
  'include/enter-turn': `local function enterTurn(id, score, known) enterLine(bandOf(score), known or get(id, 'owner'), {score, id}) end`,
  'include/enter-queue': `local function enterQueue(id, score, owner)
  redis.call('ZADD', root .. ':waiting', score, id)
  enterTurn(id, score, owner)
end`,
  'include/is-in-order': `local function isInOrder(band)
  return redis.call('EXISTS', root .. ':owner-limits') == 0 and redis.call('ZCARD', turnsOf(band)) <= 1
end`,
  'include/limit-of': `local function limitOf(owner)
  local limit = redis.call('HGET', root .. ':owner-limits', owner)
  if limit then return tonumber(limit), redis.call('SCARD', key('active', owner)) end
end`,
  'include/position-of': `local function startableOf(band, owner)
  local waiting = redis.call('ZCARD', lineOf(band, owner))
  local limit, active = limitOf(owner)
  if not limit then return waiting end
  local room = limit - active
  for higher = 0, tonumber(band) - 1 do room = room - redis.call('ZCARD', lineOf(higher, owner)) end
  return math.max(0, math.min(waiting, room))
end
local function countHigher(band, owner, isLimited)
  if not isLimited then
    return redis.call('ZCOUNT', root .. ':waiting', '-inf', '(' .. tonumber(band) * PRIORITY_STEP)
  end
  local count = 0
  for higher = 0, tonumber(band) - 1 do
    for _, other in ipairs(redis.call('ZRANGE', turnsOf(higher), 0, -1)) do
      count = count + (other == owner and redis.call('ZCARD', lineOf(higher, other)) or startableOf(higher, other))
    end
  end
  return count
end
local function positionOf(id, score, owner)
  local rank = redis.call('ZRANK', root .. ':waiting', id)
  if not rank then return nil end
  if not owner then score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner')) end
  local band = bandOf(score)
  if isInOrder(band) then return rank + 1 end
  local place = redis.call('ZRANK', lineOf(band, owner), id)
  local tag = redis.call('ZSCORE', turnsOf(band), owner)
  if not place or not tag then return rank + 1 end
  local turn = tonumber(tag) + place
  local before = countHigher(band, owner, redis.call('EXISTS', root .. ':owner-limits') == 1)
  local turns = redis.call('ZRANGE', turnsOf(band), '-inf', turn, 'BYSCORE', 'WITHSCORES')
  for index = 1, #turns, 2 do
    local other = turns[index]
    if other ~= owner then
      local ahead = turn - tonumber(turns[index + 1]) + (other < owner and 1 or 0)
      before = before + math.min(ahead, startableOf(band, other))
    end
  end
  return before + place + 1
end`,
  'include/queue-new': `local function queueNew(id, score, owner, new)
  enterQueue(id, score, owner)
  local deadline = new.fields.queueDeadline
  if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
  local position = positionOf(id, score, owner)
  writeFirst(id, new.before .. position .. new.after)
  return position
end`,
  'include/set': `local function set(id, ...) redis.call('HSET', record(id), ...) end`,
  'include/set-all': `local function setAll(id, fields)
  local all = {}
  for field, value in pairs(fields) do
    all[#all + 1] = field
    all[#all + 1] = value
  end
  if #all > 0 then set(id, unpack(all)) end
end`,
  'include/task-at': `local function taskAt(list, index) return redis.call('HGET', key('tasks', list), index) end`,
  'history/include/weigh': `local function weigh(owner, kind, wanted, ofDay, own)
  if not next(wanted) then return {} end
  local day = ofDay and tonumber(ofDay) or math.floor(nowMs() / DAY_MS)
  local book = bookOf(kind, whole(day), owner)
  local taken = {}
  for _, unit in ipairs({'usd', 'tokens'}) do
    local want = wanted[unit]
    if want then
      local amount = want.run
      if want.cap then
        local spent = tonumber(redis.call('HGET', book, unit .. ':spent') or '0')
        local reserved = tonumber(redis.call('HGET', book, unit .. ':reserved') or '0')
        if own then reserved = reserved - (own[unit].amount or 0) end
        local left = want.cap - spent - reserved
        if want.isRest then amount = math.min(amount or left, left) end
        if amount <= 0 or amount > left then
          local turnsAt = (day + 1) * DAY_MS
          local known = {whole(want.cap), whole(spent), whole(reserved), whole(want.run or want.cap), whole(turnsAt)}
          return nil, {'over', unit, unpack(known)}
        end
      end
      taken[unit] = amount
    end
  end
  return taken
end`,
  'include/kind-of': `local function kindOf(simulated) return simulated == '1' and 'simulated' or 'real' end`,
  'include/weigh-new': `local function weighNew(owner, simulated, wantedBudget)
  local kind = kindOf(simulated)
  local taken, over = weigh(owner, kind, cjson.decode(wantedBudget))
  return taken, over, kind
end`,
  'advance-list': `local args = cjson.decode(ARGV[1])
local list, index, holdMs, following = args.list, args.index, args.holdMs, args.following
local state = get(list, 'state')
if not state or isEnded(state) then return {'settled'} end
local task = taskAt(list, index)
if not task then return {'moved'} end
if isRecorded(task) then
  if get(list, 'over') then return over(list, holdMs) end
  if following and taskAt(list, index + 1) == following.id then
    return {'next', get(following.id, 'claim'), get(following.id, 'priority')}
  end
  return {'moved'}
end
local taskState = get(task, 'state')
if taskState and not isEnded(taskState) then return {'waiting'} end
writeNext(list, args.event)
redis.call('HSET', key('tasks', list), index, args.listed)
set(list, 'usage', args.usage)
if not following or get(list, 'cancelBy') then
  set(list, 'over', '1')
  return over(list, holdMs)
end
local owner = get(list, 'owner')
local taken, refused, kind = weighNew(owner, following.fields.simulated, following.wantedBudget)
if refused then
  set(list, 'over', 'budget')
  return over(list, holdMs)
end
reserve(following.id, owner, kind, taken)
redis.call('HSET', key('tasks', list), index + 1, following.id)
setAll(following.id, following.fields)
queueNew(following.id, following.score, following.fields.owner, following)
redis.call('ZREM', root .. ':unsettled', list)
return {'next', get(following.id, 'claim'), get(following.id, 'priority')}`,
  'events/include/holds-fence': `local function holdsFence(id, fence) return redis.call('HGET', key('log', id), 'fence') == fence end`,
  'platform/include/exceed-memory': `local function exceedMemory() redis.call('DEL', root .. ':nothing') end`,
  'append-list-event': `exceedMemory()
local args = cjson.decode(ARGV[1])
local list, sent = args.list, args.fence .. ' ' .. args.number
if not holdsFence(args.holder, args.fence) then return {'stale'} end
if get(list, 'hookTold') == sent then return {'recorded'} end
set(list, 'hookTold', sent)
if args.hooksRun then set(list, 'hooksRun', args.hooksRun) end
if args.refusal then set(list, 'refusal', args.refusal) end
writeNext(list, args.event)
return {'recorded'}`,
  'block': `local blocked, until_ = root .. ':blocked', tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', blocked, '-inf', nowMs())
redis.call('ZADD', blocked, 'GT', until_, ARGV[1])
local last = redis.call('ZRANGE', blocked, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', blocked, math.ceil(tonumber(last[2])))
return {}`,
  'include/call-next': `local function callNext(owner, most)
  local ready = {}
  for band = 0, 2 do
    local left = most - #ready / 3
    local waits = left > 0 and redis.call('ZSCORE', turnsOf(band), owner)
    for _, id in ipairs(waits and redis.call('ZRANGE', lineOf(band, owner), 0, left - 1) or {}) do
      if get(id, 'state') == 'queued' then
        ready[#ready + 1] = id
        ready[#ready + 1] = redis.call('HINCRBY', record(id), 'claim', 1)
        ready[#ready + 1] = get(id, 'priority')
      end
    end
  end
  return ready
end`,
  'include/may-run': `local function mayRun(owner)
  local limit, count = limitOf(owner)
  if not limit or count < limit then return true end
  local active = key('active', owner)
  for _, id in ipairs(redis.call('SMEMBERS', active)) do
    if not redis.call('ZSCORE', root .. ':leases', id) then redis.call('SREM', active, id) end
  end
  return redis.call('SCARD', active) < limit
end`,
  'call-waiting': `local owner, most = ARGV[1], tonumber(ARGV[2])
if not mayRun(owner) then return {} end
local limit, count = limitOf(owner)
return callNext(owner, limit and math.min(most, limit - count) or most)`,
  'include/is-active': `local function isActive(state) return state == 'starting' or state == 'running' or state == 'paused' end`,
  'cancel-list': `exceedMemory()
local list, by, reason = ARGV[1], ARGV[2], ARGV[3]
local state = get(list, 'state')
if not state or isEnded(state) then return {'refused', state or 'missing'} end
if not get(list, 'cancelBy') then
  set(list, 'cancelBy', by, 'cancelReason', reason)
  writeNext(list, ARGV[4])
end
redis.call('ZADD', root .. ':unsettled', nowMs(), list)
local task = taskAt(list, redis.call('HLEN', key('tasks', list)) - 1)
if isRecorded(task) then return {'requested', '', '', lastSeq(list)} end
local taskState = get(task, 'state')
if isActive(taskState) and not get(task, 'cancelBy') then set(task, 'cancelBy', by, 'cancelReason', reason) end
return {'requested', task, taskState or '', lastSeq(list)}`,
  'platform/include/need-memory': `local function needMemory() redis.call('SETRANGE', root .. ':nothing', 0, '') end`,
  'include/choose-credential': `local function chooseCredential(id, offers, now)
  local sandbox, before = tonumber(get(id, 'sandbox') or '0'), get(id, 'credential')
  local source = #offers > 1 and not before and get(id, 'resumedFrom')
  if source then before = get(source, 'credential') end
  local turns = root .. ':credential-turns'
  local clock = #offers > 1 and tonumber(redis.call('HGET', turns, '') or '0') or 0
  local best, waitMs, isSuited, isFree = nil, nil, false, false
  for _, offer in ipairs(offers) do
    local share, suits = 1 / offer.weight, sandbox <= offer.highestSandbox
    local score = redis.call('ZSCORE', root .. ':blocked', offer.name)
    local leftMs = score and math.ceil(tonumber(score) - now) or 0
    isSuited = isSuited or suits
    if leftMs > 0 then
      waitMs = math.min(waitMs or leftMs, leftMs)
    else
      isFree = true
      local last = #offers > 1 and tonumber(redis.call('HGET', turns, offer.name) or '0') or 0
      local start = math.max(last, clock - share)
      local candidate = {name = offer.name, start = start, turn = start + share}
      if suits and offer.name == before then return candidate end
      if suits and (not best or candidate.turn < best.turn) then best = candidate end
    end
  end
  if best then return best end
  if not isFree and waitMs then return nil, 'blocked', waitMs end
  return nil, isSuited and 'busy' or 'unsuited'
end`,
  'include/enter': `local function enter(id, to)
  local from = get(id, 'state')
  if not from or not TRANSITIONS[from][to] then return false, from or 'missing' end
  set(id, 'state', to)
  local job = from == 'starting' and get(id, 'job')
  if job then redis.call('DEL', key('job', job)) end
  return true, from
end`,
  'include/folders-above': `local function foldersAbove(name)
  local above, position = {}, #name
  while position > 1 do
    if string.sub(name, position, position) == '/' then above[#above + 1] = string.sub(name, 1, position - 1) end
    position = position - 1
  end
  return above
end`,
  'include/is-resting': `local function isResting(state) return state == 'waiting_budget' or state == 'waiting_approval' end`,
  'include/holds-workspace': `local function holdsWorkspace(id)
  local state = get(id, 'state')
  if get(id, 'kind') == 'task_list' then return not isEnded(state) end
  return isActive(state) or isResting(state) or (state == 'queued' and tonumber(get(id, 'attempt')) > 0)
end`,
  'include/is-held': `local function isHeld(name, owner)
  local holder = redis.call('GET', key('workspace', name))
  return holder and holder ~= owner and holdsWorkspace(holder)
end`,
  'include/find-held': `local function findHeld(owner, names)
  for _, name in ipairs(names) do
    if isHeld(name, owner) then return name end
    for _, above in ipairs(foldersAbove(name)) do
      if isHeld(above, owner) then return above end
    end
    for _, below in ipairs(redis.call('SMEMBERS', key('within', name))) do
      if isHeld(below, owner) then return below end
    end
  end
end`,
  'include/highest-free': `local function highestFree(offers, now)
  local highest, waitMs = nil, nil
  for _, offer in ipairs(offers) do
    local score = redis.call('ZSCORE', root .. ':blocked', offer.name)
    local leftMs = score and math.ceil(tonumber(score) - now) or 0
    if leftMs <= 0 then
      highest = math.max(highest or offer.highestSandbox, offer.highestSandbox)
    else
      waitMs = math.min(waitMs or leftMs, leftMs)
    end
  end
  return highest, waitMs
end`,
  'include/hold-folders': `local function holdFolders(owner, names)
  for _, name in ipairs(names) do
    redis.call('SET', key('workspace', name), owner)
    for _, above in ipairs(foldersAbove(name)) do redis.call('SADD', key('within', above), name) end
  end
end`,
  'include/holder-of': `local function holderOf(id) return get(id, 'parentId') or id end`,
  'include/is-due': `local function isDue(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  local band = bandOf(score)
  for higher = 0, tonumber(band) - 1 do
    if redis.call('EXISTS', turnsOf(higher)) == 1 then return false end
  end
  return redis.call('ZRANGE', turnsOf(band), 0, 0)[1] == owner
    and redis.call('ZRANGE', lineOf(band, owner), 0, 0)[1] == id
    and mayRun(owner)
end`,
  'include/leave-turn': `local REMEMBERED_MS = 60 * 1000
local function leaveTurn(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  if not score then return end
  local band = bandOf(score)
  local line = lineOf(band, owner)
  if redis.call('ZREM', line, id) == 0 or redis.call('EXISTS', line) == 1 then return end
  redis.call('ZREM', turnsOf(band), owner)
  if redis.call('EXISTS', turnsOf(band)) == 1 then return end
  redis.call('PEXPIRE', servedOf(band), REMEMBERED_MS)
  redis.call('PEXPIRE', clockOf(band), REMEMBERED_MS)
end`,
  'include/parked-on': `local function parkedOn(id) return get(id, 'parkedOn') or get(id, 'workspaceLock') end`,
  'include/leave-queue': `local function leaveQueue(id)
  for _, list in ipairs({'waiting', 'parked', 'delayed', 'due', 'deadlines', 'following'}) do
    redis.call('ZREM', root .. ':' .. list, id)
  end
  leaveTurn(id)
  local workspace = parkedOn(id)
  if workspace then redis.call('ZREM', key('parked', workspace), id) end
end`,
  'include/next-due': `local OWNERS, OF_EACH = 64, 16
local function nextDue(highestSandbox)
  local isUnsuited = false
  for band = 0, 2 do
    for _, owner in ipairs(redis.call('ZRANGE', turnsOf(band), 0, OWNERS - 1)) do
      local line = lineOf(band, owner)
      for _, id in ipairs(mayRun(owner) and redis.call('ZRANGE', line, 0, OF_EACH - 1) or {}) do
        local state, sandbox = unpack(redis.call('HMGET', record(id), 'state', 'sandbox'))
        if state ~= 'queued' or not redis.call('ZSCORE', root .. ':waiting', id) then
          redis.call('ZREM', line, id)
        elseif tonumber(sandbox or '0') > highestSandbox then
          isUnsuited = true
        else
          return id, isUnsuited
        end
      end
      if redis.call('EXISTS', line) == 0 then redis.call('ZREM', turnsOf(band), owner) end
    end
  end
  return nil, isUnsuited
end`,
  'include/park': `local function park(id, name)
  local score = get(id, 'score')
  redis.call('ZREM', root .. ':waiting', id)
  leaveTurn(id)
  redis.call('ZADD', root .. ':parked', score, id)
  redis.call('ZADD', key('parked', name), score, id)
  set(id, 'waitingFor', 'workspace', 'parkedOn', name)
end`,
  'include/wake-next': `local function wakeNext(workspace)
  local next = redis.call('ZPOPMIN', key('parked', workspace))[1]
  if not next then return {} end
  local score = redis.call('ZSCORE', root .. ':parked', next)
  redis.call('ZREM', root .. ':parked', next)
  if get(next, 'state') ~= 'queued' then return wakeNext(workspace) end
  enterQueue(next, score)
  redis.call('HDEL', record(next), 'waitingFor')
  local claim = redis.call('HINCRBY', record(next), 'claim', 1)
  return {next, claim, get(next, 'priority')}
end`,
  'include/pass-on': `local function passOn(name)
  if not name or isHeld(name) then return {} end
  return wakeNext(name)
end`,
  'include/take-turn': `local TURNS_KEPT_MS = 24 * 60 * 60 * 1000
local function takeTurn(chosen, offered)
  if offered < 2 then return end
  local turns = root .. ':credential-turns'
  local clock = tonumber(redis.call('HGET', turns, '') or '0')
  redis.call('HSET', turns, '', math.max(clock, chosen.start), chosen.name, chosen.turn)
  redis.call('PEXPIRE', turns, TURNS_KEPT_MS)
end`,
  'include/use-turn': `local function useTurn(id)
  local score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner'))
  local band = bandOf(score)
  local tag = tonumber(redis.call('ZSCORE', turnsOf(band), owner))
  if not tag then return end
  local clock = math.max(turnClock(band), tag)
  redis.call('SET', clockOf(band), clock)
  redis.call('ZADD', turnsOf(band), 'XX', tag + 1, owner)
  redis.call('ZREMRANGEBYSCORE', servedOf(band), '-inf', clock)
  redis.call('ZADD', servedOf(band), tag + 1, owner)
end`,
  'claim': `local args = cjson.decode(ARGV[1])
local asked, workerId = args.id, args.workerId
local state = get(asked, 'state')
local function claimed(id, fence, ready)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  local attempt, messages = tonumber(get(id, 'attempt')), redis.call('HGET', key('messages', id), 'count') or '0'
  return {'claimed', id, fence, lastSeq(id), attempt, bytes, get(id, 'credential'), messages, unpack(ready)}
end
local job = asked .. '-' .. args.claim
local used = redis.call('GET', key('job', job)) or asked
local before = redis.call('HMGET', record(used), 'state', 'workerId', 'job')
if before[1] == 'starting' and before[2] == workerId and before[3] == job then
  return claimed(used, redis.call('HGET', key('log', used), 'fence'), {})
end
local refusal = state ~= 'queued' and (state or 'missing')
  or get(asked, 'claim') ~= args.claim and 'claim'
if refusal and redis.call('EXISTS', root .. ':waiting') == 0 then return {'refused', refusal} end
needMemory()
local now = nowMs()
local function isOverdue(id)
  local deadline = get(id, 'queueDeadline')
  return deadline and now > tonumber(deadline)
end
if not refusal and isOverdue(asked) then return {'expired', asked} end
local highest, waitMs = highestFree(args.offers, now)
if not highest then return {'blocked', waitMs} end
local id = asked
local waits = not refusal and redis.call('ZSCORE', root .. ':waiting', asked)
local line = waits and lineOf(bandOf(waits), get(asked, 'owner'))
if waits and not redis.call('ZSCORE', line, asked) then enterTurn(asked, waits) end
if refusal or (waits and not isDue(asked)) then
  local due, isUnsuited = nextDue(highest)
  if not due and isUnsuited then return {'unsuited'} end
  if not due then
    if refusal or not mayRun(get(asked, 'owner')) then return {'refused', refusal or 'limited'} end
  end
  id = due or asked
end
if id ~= asked and isOverdue(id) then return {'expired', id} end
local chosen, why = chooseCredential(id, args.offers, now)
if why == 'unsuited' then set(id, 'waitingFor', 'sandbox') end
if not chosen then return {'unsuited'} end
local from = get(id, 'parkedOn')
if from then redis.call('ZREM', key('parked', from), id) end
redis.call('HDEL', record(id), 'parkedOn', 'wantedPlaces')
local workspace = get(id, 'workspaceLock')
if workspace then
  local owner = holderOf(id)
  local held = findHeld(owner, {workspace})
  if held then
    park(id, held)
    return {'parked', unpack(passOn(from))}
  end
  holdFolders(owner, {workspace})
end
enter(id, 'starting')
useTurn(id)
leaveQueue(id)
redis.call('SADD', key('active', get(id, 'owner')), id)
if id ~= asked then redis.call('SET', key('job', job), id, 'PX', math.max(1, args.leaseMs)) end
local fence = takeFence(id)
redis.call('ZADD', root .. ':leases', now + args.leaseMs, id)
redis.call('HDEL', record(id), 'waitingFor', 'notBefore')
set(id, 'workerId', workerId, 'leaseMs', args.leaseMs, 'job', job)
set(id, 'credential', chosen.name, 'credentialClaim', get(id, 'claim'))
takeTurn(chosen, #args.offers)
return claimed(id, fence, passOn(from))`,
  'include/approval': `local function approval(id) return key('approval', id) end`,
  'include/open-approvals': `local function openApprovals(id)
  local ids = {}
  for each in string.gmatch(get(id, 'openApprovals') or '', '%S+') do ids[#ids + 1] = each end
  return ids
end`,
  'include/set-open-approvals': `local function setOpenApprovals(id, ids)
  if #ids == 0 then redis.call('HDEL', record(id), 'openApprovals')
  else set(id, 'openApprovals', table.concat(ids, ' ')) end
end`,
  'include/remove-open-approval': `local function removeOpenApproval(id, removed)
  local ids = {}
  for _, each in ipairs(openApprovals(id)) do
    if each ~= removed then ids[#ids + 1] = each end
  end
  setOpenApprovals(id, ids)
end`,
  'include/close-approval': `local function closeApproval(id, status, ...)
  local execution, owner = unpack(redis.call('HMGET', approval(id), 'executionId', 'owner'))
  redis.call('HSET', approval(id), 'status', status, ...)
  redis.call('ZREM', root .. ':approval-deadlines', id)
  redis.call('ZREM', root .. ':open-approvals', id)
  redis.call('ZREM', key('open-approvals', owner), id)
  redis.call('ZADD', root .. ':closed-approvals', 0, id)
  redis.call('ZADD', key('closed-approvals', owner), 0, id)
  redis.call('HINCRBY', record(execution), 'approvalsClosed', 1)
  removeOpenApproval(execution, id)
  local list = get(execution, 'parentId')
  if list then removeOpenApproval(list, id) end
end`,
  'close-approval': `exceedMemory()
local id, to = ARGV[1], ARGV[2]
local status, expiresAt = unpack(redis.call('HMGET', approval(id), 'status', 'expiresAt'))
if not status then return 'missing' end
if status ~= 'pending' or (to == 'expired' and nowMs() < tonumber(expiresAt)) then return status end
closeApproval(id, to)
return to`,
  'events/include/pack': `local function pack(id, packed)
  local events, draft = key('events', id), root .. ':events-draft'
  redis.call('XADD', draft, string.format('%d-0', lastSeq(id)), 'e', packed)
  redis.call('COPY', draft, events, 'REPLACE')
  redis.call('DEL', draft)
  redis.call('HSET', key('log', id), 'bytes', #packed)
end`,
  'schedules/include/note-end': `local function noteEnd(id, execution, status)
  redis.call('SREM', key('schedule-open', id), execution)
  if redis.call('HGET', key('schedule', id), 'lastExecutionId') == execution then
    redis.call('HSET', key('schedule', id), 'lastStatus', status)
  end
end`,
  'constant/MODELS_KEPT': `local MODELS_KEPT = 50`,
  'constant/OTHER': `local OTHER = 'other'`,
  'telemetry/include/count-end': `local function countEnd(id, given)
  if not given then return end
  local figures, models = root .. ':figures', root .. ':figure-models'
  for field, amount in pairs(given.fields) do redis.call('HINCRBY', figures, field, amount) end
  local counted = tonumber(redis.call('HGET', key('log', id), 'counted') or '0')
  redis.call('HINCRBY', figures, 'events_total', lastSeq(id) - counted)
  redis.call('HDEL', key('log', id), 'counted')
  local model = given.model
  if not model then return end
  if redis.call('SISMEMBER', models, model) == 0 then
    if redis.call('SCARD', models) >= MODELS_KEPT then model = OTHER else redis.call('SADD', models, model) end
  end
  for field, amount in pairs(given.ofModel) do redis.call('HINCRBY', figures, field .. '|' .. model, amount) end
end`,
  'history/include/history-kept-ms': `local HISTORY_KEPT_MS = 30 * 24 * 60 * 60 * 1000`,
  'history/include/remember': `local function remember(list, milliseconds, kept)
  redis.call('LPUSH', list, milliseconds)
  redis.call('LTRIM', list, 0, kept - 1)
  redis.call('PEXPIRE', list, HISTORY_KEPT_MS)
end`,
  'history/include/learn': `local SAMPLES_KEPT = 100
local PLACES_KEPT = 200
local FINGERPRINTS_KEPT = 2000
local function learn(owner, kind, fingerprints, milliseconds, lesson)
  if not milliseconds then return end
  remember(root .. ':history:places:' .. kind, milliseconds, PLACES_KEPT)
  if lesson == '' or not fingerprints then return end
  local known, now = root .. ':history:known:' .. kind .. ':' .. owner, nowMs()
  local prefix = root .. ':history:' .. kind .. ':'
  for _, fingerprint in ipairs(cjson.decode(fingerprints)) do
    remember(prefix .. fingerprint, lesson == 'bound' and '-' .. milliseconds or milliseconds, SAMPLES_KEPT)
    redis.call('ZADD', known, now, fingerprint)
  end
  redis.call('PEXPIRE', known, HISTORY_KEPT_MS)
  redis.call('ZREMRANGEBYSCORE', known, '-inf', now - HISTORY_KEPT_MS)
  local surplus = redis.call('ZCARD', known) - FINGERPRINTS_KEPT
  if surplus <= 0 then return end
  for _, fingerprint in ipairs(redis.call('ZRANGE', known, 0, surplus - 1)) do
    redis.call('DEL', prefix .. fingerprint)
  end
  redis.call('ZREMRANGEBYRANK', known, 0, surplus - 1)
end`,
  'constant/MICRO': `local MICRO = 1000000`,
  'history/include/book-spent': `local function bookSpent(book, usage, reserved)
  local spent = {
    usd = math.floor(usage.costUsd * MICRO + 0.5),
    tokens = usage.inputTokens + usage.outputTokens + usage.cacheCreationTokens,
  }
  for unit, amount in pairs(spent) do
    if reserved[unit].amount then touch(book, unit .. ':reserved', -reserved[unit].amount) end
    touch(book, unit .. ':spent', amount - reserved[unit].booked)
  end
  return spent
end`,
  'history/include/settle': `local SUMS_KEPT = 20000
local OTHER_MODELS = '(other)'
local function settle(owner, kind, day, bookDay, model, usage, reserved, hasSucceeded)
  day = day or whole(math.floor(nowMs() / DAY_MS))
  local micro = bookSpent(bookOf(kind, bookDay or day, owner), usage, reserved).usd
  local sums = root .. ':usage:' .. kind .. ':' .. day
  local function field(measure) return cjson.encode({owner, model, measure}) end
  if redis.call('HLEN', sums) >= SUMS_KEPT and redis.call('HEXISTS', sums, field('executions')) == 0 then
    model = OTHER_MODELS
  end
  local measures = {executions = 1, succeeded = hasSucceeded and 1 or 0, costMicroUsd = micro}
  local reported = {'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens', 'turns', 'durationMs'}
  for _, measure in ipairs(reported) do
    measures[measure] = usage[measure]
  end
  for measure, value in pairs(measures) do touch(sums, field(measure), value) end
end`,
  'history/include/settle-payments': `local PAYMENT_SUMS_KEPT = 20000
local REPORTED = {'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens', 'turns', 'durationMs'}
local function settlePayments(owner, kind, day, model, payments, hasSucceeded)
  local sums = root .. ':usage-by-credential:' .. kind .. ':' .. (day or whole(math.floor(nowMs() / DAY_MS)))
  for index, paid in ipairs(payments) do
    local function field(measure) return cjson.encode({owner, model, paid.credential, measure}) end
    local isThere = redis.call('HEXISTS', sums, field('costMicroUsd')) == 1
    if isThere or redis.call('HLEN', sums) < PAYMENT_SUMS_KEPT then
      local isLast = index == #payments
      touch(sums, field('executions'), isLast and 1 or 0)
      touch(sums, field('succeeded'), isLast and hasSucceeded and 1 or 0)
      touch(sums, field('costMicroUsd'), math.floor(paid.usage.costUsd * MICRO + 0.5))
      for _, measure in ipairs(REPORTED) do touch(sums, field(measure), paid.usage[measure]) end
    end
  end
end`,
  'include/ledger-day': `local function ledgerDay(id)
  local created = tonumber(get(id, 'createdAt'))
  return get(id, 'ledgerDay') or (created and whole(math.floor(created / DAY_MS)))
end`,
  'include/reserved-of': `local function reservedOf(id)
  local units = {}
  for _, unit in ipairs({'usd', 'tokens'}) do
    units[unit] = {
      amount = tonumber(get(id, 'reserved:' .. unit)),
      booked = tonumber(get(id, 'booked:' .. unit) or '0'),
      base = tonumber(get(id, 'base:' .. unit)),
    }
  end
  return units
end`,
  'include/account': `local function account(id, status)
  if get(id, 'kind') == 'task_list' then return end
  local kind = kindOf(get(id, 'simulated'))
  local usage = cjson.decode(get(id, 'usage'))
  local day, model = ledgerDay(id), get(id, 'model') or ''
  local bookDay = get(id, 'bookDay') or nil
  settle(get(id, 'owner'), kind, day, bookDay, model, usage, reservedOf(id), status == 'succeeded')
  local paidBy = get(id, 'paidBy')
  if paidBy then settlePayments(get(id, 'owner'), kind, day, model, cjson.decode(paidBy), status == 'succeeded') end
  learn(get(id, 'owner'), kind, get(id, 'fingerprints'), get(id, 'activeMs'), get(id, 'lesson') or '')
  redis.call('HDEL', record(id), 'fingerprints', 'activeMs', 'lesson')
end`,
  'include/approval-ids': `local function approvalIds(id) return redis.call('ZRANGE', key('approvals-of', id), 0, -1) end`,
  'include/expire': `local function expire(id, milliseconds)
  for _, kind in ipairs({'execution', 'log', 'events', 'files', 'tasks', 'messages'}) do
    redis.call('PEXPIRE', key(kind, id), milliseconds)
  end
  for _, each in ipairs(approvalIds(id)) do redis.call('PEXPIRE', approval(each), milliseconds) end
  redis.call('PEXPIRE', key('approvals-of', id), milliseconds)
end`,
  'include/has-open-messages': `local function hasOpenMessages(id)
  local open, noted, count = unpack(redis.call('HMGET', key('messages', id), 'open', 'noted', 'count'))
  return count and (tonumber(open or '0') > 0 or noted ~= count)
end`,
  'include/leave-rest': `local function leaveRest(id)
  local parked = 0
  for _, reason in ipairs({'budget', 'approval'}) do
    parked = parked + redis.call('ZREM', key('resting', reason), id)
  end
  if parked == 0 then return end
  redis.call('HDEL', record(id), 'parkedUntil', 'notBefore')
  if get(id, 'parentId') then redis.call('ZREM', key('index', get(id, 'owner')), id) end
end`,
  'include/note-outbox': `local TOLD = {'owner', 'state', 'kind', 'metadata', 'parentId', 'webhooks'}
local function noteOutbox(id, type, approvalId)
  local owner = redis.call('HGET', record(id), 'owner')
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner or '', '*')
  if not hearers[1] and not hearers[2] then return end
  local entry = {'type', type, 'timestamp', nowMs(), 'executionId', id}
  for index, value in ipairs(redis.call('HMGET', record(id), unpack(TOLD))) do
    if value then
      entry[#entry + 1] = TOLD[index]
      entry[#entry + 1] = value
    end
  end
  local outcome = redis.call('HGET', record(id), 'outcome')
  local code = outcome and cjson.decode(outcome).code
  if code then
    entry[#entry + 1] = 'code'
    entry[#entry + 1] = code
  end
  if approvalId then
    entry[#entry + 1] = 'approvalId'
    entry[#entry + 1] = approvalId
  end
  redis.call('XADD', root .. ':outbox', '*', unpack(entry))
  redis.call('PUBLISH', root .. ':outbox-news', '')
end`,
  'include/leave-work': `local function leaveWork(id)
  local owner = get(id, 'owner')
  return owner and redis.call('SREM', key('active', owner), id) == 1
end`,
  'include/pass-work': `local function passWork(id)
  if not leaveWork(id) then return {} end
  local owner = get(id, 'owner')
  if redis.call('HEXISTS', root .. ':owner-limits', owner) == 0 then return {} end
  return callNext(owner, 1)
end`,
  'include/let-go': `local function letGo(id, names)
  local ready = {}
  for _, name in ipairs(names) do
    if redis.call('GET', key('workspace', name)) == id then
      redis.call('DEL', key('workspace', name))
      for _, above in ipairs(foldersAbove(name)) do redis.call('SREM', key('within', above), name) end
      for _, value in ipairs(wakeNext(name)) do ready[#ready + 1] = value end
    end
  end
  return ready
end`,
  'include/places-of': `local function placesOf(id)
  local places = get(id, 'places')
  return places and cjson.decode(places) or {}
end`,
  'include/release-workspace': `local function releaseWorkspace(id)
  local names, workspace = placesOf(id), get(id, 'workspaceLock')
  if workspace then table.insert(names, 1, workspace) end
  local ready = letGo(id, names)
  for _, value in ipairs(passOn(get(id, 'parkedOn'))) do ready[#ready + 1] = value end
  return ready
end`,
  'include/reservation-of': `local function reservationOf(id)
  local name = get(id, 'idempotencyKey')
  local reservation = name and root .. ':idempotency:' .. get(id, 'owner') .. ':' .. name
  local known = reservation and redis.call('GET', reservation)
  return known and string.match(known, '^%S+') == id and reservation
end`,
  'include/size-of': `local function sizeOf(id)
  local bytes = tonumber(redis.call('HGET', key('log', id), 'bytes') or '0')
  for _, field in ipairs({'request', 'result', 'resultJson', 'receipt'}) do
    bytes = bytes + redis.call('HSTRLEN', record(id), field)
  end
  for _, kind in ipairs({'files', 'messages'}) do
    bytes = bytes + tonumber(redis.call('HGET', key(kind, id), 'bytes') or '0')
  end
  return bytes + tonumber(redis.call('HGET', record(id), 'approvalBytes') or '0')
end`,
  'include/task-ids': `local function taskIds(list)
  local ids = {}
  for index, listed in ipairs(redis.call('HVALS', key('tasks', list))) do ids[index] = string.match(listed, '^%S+') end
  return ids
end`,
  'include/retain': `local function retain(id)
  local bytes = sizeOf(id)
  for _, task in ipairs(taskIds(id)) do bytes = bytes + sizeOf(task) end
  redis.call('ZADD', root .. ':finished', nowMs(), id)
  redis.call('HSET', root .. ':finished-bytes', id, bytes)
  redis.call('INCRBY', root .. ':finished-total', bytes)
end`,
  'include/sees-approvals': `local function seesApprovals(id, closing)
  local count = 0
  for _, entry in ipairs(closing or {}) do
    if entry.id then
      count = count + 1
      if redis.call('HGET', approval(entry.id), 'status') ~= 'pending' then return false end
    end
  end
  return count == #openApprovals(id)
end`,
  'include/settle-approvals': `local function settleApprovals(id, closing, kept)
  for _, entry in ipairs(closing or {}) do
    local isOpen = entry.id and redis.call('HGET', approval(entry.id), 'status') == 'pending'
    if isOpen then closeApproval(entry.id, 'withdrawn') end
    if isOpen or not entry.id then writeNext(id, entry.event) end
  end
  for _, each in ipairs(openApprovals(id)) do
    if each ~= kept then closeApproval(each, 'withdrawn') end
  end
end`,
  'include/expire-folders': `local function expireFolders(host)
  local folders = key('folders', host)
  if redis.call('ZCOUNT', folders, 0, 0) > 0 then return end
  local last = redis.call('ZRANGE', folders, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', folders, math.ceil(tonumber(last[2]))) end
end`,
  'include/is-fresh': `local FRESH = '^' .. string.rep('[0-9a-f]', 8) .. string.rep('%-' .. string.rep('[0-9a-f]', 4), 3) .. '%-' ..
  string.rep('[0-9a-f]', 12) .. '$'
local function isFresh(name) return string.match(name, FRESH) ~= nil end`,
  'include/hosts-of': `local function hostsOf(id)
  local home, workspace = get(id, 'home'), get(id, 'workspace')
  if not home then return {} end
  local hasOther = workspace ~= home and isFresh(workspace)
  return {home, hasOther and workspace or nil}
end`,
  'include/settle-session': `local function settleSession(id, retentionMs)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if session then redis.call('PEXPIRE', key('session', session), retentionMs) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), nowMs() + tonumber(retentionMs), id)
    expireFolders(host)
  end
end`,
  'include/begin-deadline': `local function beginDeadline(id)
  local limit = get(id, 'queueTimeoutMs')
  if not limit then return end
  local deadline = nowMs() + tonumber(limit)
  set(id, 'queueDeadline', deadline)
  redis.call('ZADD', root .. ':deadlines', deadline, id)
end`,
  'include/enter-session': `local function enterSession(id, session)
  redis.call('ZADD', key('session', session), nowMs(), id)
  redis.call('PERSIST', key('session', session))
end`,
  'include/is-over': `local function isOver(id)
  local state = get(id, 'state')
  return not state or isEnded(state)
end`,
  'include/is-orphan': `local function isOrphan(id)
  local before = get(id, 'follows')
  if not before or get(id, 'state') ~= 'queued' or not isOver(before) then return false end
  return not get(before, 'sessionId') or get(before, 'state') == 'cancelled'
end`,
  'include/take-over': `local function takeOver(id)
  local before = get(id, 'follows')
  if not before or get(id, 'state') ~= 'queued' then return {}, false end
  if not isOver(before) then return {}, false end
  if isOrphan(id) then return {}, true end
  local session = get(before, 'sessionId')
  if redis.call('EXISTS', key('forks', session)) == 1 then return {}, false end
  redis.call('ZREM', root .. ':following', id)
  redis.call('HDEL', record(id), 'follows', 'waitingFor')
  set(id, 'resumedFrom', before, 'sourceSession', session, 'sessionId', session)
  enterSession(id, session)
  beginDeadline(id)
  enterQueue(id, get(id, 'score'))
  return {id, redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}, false
end`,
  'include/conclude': `local IDEMPOTENCY_MS = 24 * 60 * 60 * 1000
local function conclude(id, args, receipt, log)
  local status, retentionMs, cause, seal = args.status, args.retentionMs, args.cause, args.seal
  local closing = args.closing or {}
  if seal and lastSeq(id) + #closing + (cause and 2 or 1) ~= seal.finishedSeq then return {'moved'} end
  if hasOpenMessages(id) then return {'moved'} end
  local isList = get(id, 'kind') == 'task_list'
  if not isList and not seesApprovals(id, closing) then return {'moved'} end
  local entered, from = enter(id, status)
  if not entered then return {'refused', from} end
  if seal then redis.call('HSETNX', root .. ':receipt-keys', seal.keyId, seal.jwk) end
  setAll(id, args.fields)
  if receipt ~= '' then set(id, 'receipt', receipt) end
  account(id, status)
  if not isList then settleApprovals(id, closing) end
  if cause then writeNext(id, cause) end
  writeNext(id, args.event)
  countEnd(id, args.figures)
  if log ~= '' then pack(id, log) end
  noteOutbox(id, 'execution.finished')
  local schedule = get(id, 'scheduleId')
  if schedule then noteEnd(schedule, id, status) end
  redis.call('HSET', key('log', id), 'fence', '')
  redis.call('ZREM', root .. ':leases', id)
  leaveQueue(id)
  leaveRest(id)
  if redis.call('HEXISTS', key('files', id), 'listing') == 0 then redis.call('DEL', key('files', id)) end
  redis.call('DEL', key('attachments', id))
  settleSession(id, retentionMs)
  local reservation = reservationOf(id)
  if reservation then redis.call('PEXPIRE', reservation, math.max(IDEMPOTENCY_MS, retentionMs)) end
  local ready = releaseWorkspace(id)
  for _, value in ipairs(passWork(id)) do ready[#ready + 1] = value end
  local next = get(id, 'next')
  local follower, neverComes = {}, false
  if next and get(next, 'follows') == id then follower, neverComes = takeOver(next) end
  for _, value in ipairs(follower) do ready[#ready + 1] = value end
  local list = get(id, 'parentId')
  if list then
    redis.call('ZADD', root .. ':unsettled', nowMs(), list)
  else
    retain(id)
    for _, task in ipairs(taskIds(id)) do expire(task, retentionMs) end
    expire(id, retentionMs)
  end
  return {'concluded', from, list or '', neverComes and next or '', unpack(ready)}
end`,
  'conclude-abandoned': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
if not isActive(get(id, 'state')) then return {'refused', get(id, 'state') or 'missing'} end
if hasLease(id) then return {'alive'} end
takeFence(id)
return conclude(id, args, ARGV[2], ARGV[3])`,
  'conclude-list': `exceedMemory()
local args = cjson.decode(ARGV[1])
local list = args.id
if not get(list, 'over') then return {'refused', get(list, 'state') or 'missing'} end
if hasLease(list) and not holdsFence(list, args.fence) then return {'alive'} end
local answer = conclude(list, args, ARGV[2], ARGV[3])
if answer[1] ~= 'concluded' then return answer end
redis.call('ZREM', root .. ':unsettled', list)
return answer`,
  'include/is-unheld': `local function isUnheld(id, seen)
  local state = get(id, 'state')
  if state ~= (seen.state or 'queued') or not (state == 'queued' or isResting(state)) then return false end
  return not seen.claim or get(id, 'claim') == seen.claim
end`,
  'conclude-queued': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
if not isUnheld(id, args) then return {'refused', get(id, 'state') or 'missing'} end
takeFence(id)
return conclude(id, args, ARGV[2], ARGV[3])`,
  'conclude': `exceedMemory()
local args = cjson.decode(ARGV[1])
if not holdsFence(args.id, args.fence) then return {'stale'} end
return conclude(args.id, args, ARGV[2], ARGV[3])`,
  'count-active': `local counts = {running = 0, paused = 0}
for _, id in ipairs(redis.call('ZRANGE', root .. ':leases', 0, -1)) do
  local state = get(id, 'state')
  if counts[state] then counts[state] = counts[state] + 1 end
end
return {counts.running, counts.paused}`,
  'schedules/include/note-run': `local function noteRun(id, execution)
  if redis.call('EXISTS', key('schedule', id)) == 0 then return end
  redis.call('SADD', key('schedule-open', id), execution)
  redis.call('HSET', key('schedule', id), 'lastRunAt', nowMs(), 'lastExecutionId', execution, 'lastStatus', 'queued')
end`,
  'constant/SHOWN_MOMENTS': `local SHOWN_MOMENTS = 10`,
  'schedules/include/note-moments': `local function noteMoments(id, moments)
  if #moments == 0 then return end
  redis.call('LPUSH', key('schedule-moments', id), unpack(moments))
  redis.call('LTRIM', key('schedule-moments', id), 0, SHOWN_MOMENTS - 1)
  local owner, name = unpack(redis.call('HMGET', key('schedule', id), 'owner', 'name'))
  local hearers = redis.call('HMGET', root .. ':webhook-hearers', owner or '', '*')
  if not (hearers[1] or hearers[2]) then return end
  for _, text in ipairs(moments) do
    local moment = cjson.decode(text)
    if moment.outcome == 'failed' then
      redis.call('XADD', root .. ':outbox', '*', 'type', 'schedule.failed', 'timestamp', nowMs(), 'owner', owner,
        'scheduleId', id, 'name', name, 'plannedAt', moment.plannedAt, 'code', moment.code)
    end
  end
end`,
  'schedules/include/plan-next': `local function planNext(id, at)
  if at then
    redis.call('HSET', key('schedule', id), 'nextAt', at)
    redis.call('ZADD', root .. ':schedules-due', at, id)
  else
    redis.call('HDEL', key('schedule', id), 'nextAt')
    redis.call('ZREM', root .. ':schedules-due', id)
  end
end`,
  'schedules/include/settle-moments': `local function settleMoments(step)
  local schedule = key('schedule', step.id)
  redis.call('HSET', schedule, 'after', step.to)
  redis.call('HDEL', schedule, 'triedAt')
  noteMoments(step.id, step.moments)
  if step.stopped then redis.call('HSET', schedule, 'enabled', '0', 'stopped', step.stopped) end
  planNext(step.id, step.next)
end`,
  'schedules/include/stands-at': `local function standsAt(id, after, revision)
  local now = redis.call('HMGET', key('schedule', id), 'after', 'revision')
  return now[1] == after and now[2] == revision
end`,
  'tokens/include/is-made': `local function isMade(id) return #id == 36 and string.find(id, '^tok_%x+$') ~= nil end`,
  'tokens/include/is-withdrawn': `local function isWithdrawn(id)
  if not isMade(id) then return false end
  local digest, expiresAt = unpack(redis.call('HMGET', key('token', id), 'sha256', 'expiresAt'))
  return not digest or (expiresAt and tonumber(expiresAt) <= nowMs()) or false
end`,
  'include/count-queued': `local function countQueued()
  local queued = 0
  for _, list in ipairs({'waiting', 'parked', 'delayed', 'following'}) do
    queued = queued + redis.call('ZCARD', root .. ':' .. list)
  end
  return queued
end`,
  'include/find-reserved': `local function findReserved(owner, name, digest)
  if not name or name == '' then return nil end
  local reservation = root .. ':idempotency:' .. owner .. ':' .. name
  local known = redis.call('GET', reservation)
  if not known then return reservation end
  local knownId, knownDigest = string.match(known, '^(%S+) (%S+)$')
  return reservation, {knownDigest == digest and 'replayed' or 'conflict', knownId}
end`,
  'include/own-workspace': `local function isOwnable(name, shared)
  if not name or string.sub(name, 1, 1) == '/' or isFresh(name) then return false end
  for _, folder in ipairs(shared) do
    if name == folder or string.sub(name, 1, #folder + 1) == folder .. '/' then return false end
  end
  return true
end
local function isOwnedByOther(owner, name, shared)
  if not isOwnable(name, shared) then return false end
  local folders = foldersAbove(name)
  folders[#folders + 1] = name
  for _, folder in ipairs(folders) do
    local first = redis.call('HGET', root .. ':workspace-owners', folder)
    if first and first ~= owner and isOwnable(folder, shared) then return true end
  end
  for _, other in ipairs(redis.call('HKEYS', key('owned-within', name))) do
    if other ~= owner then return true end
  end
  for _, other in ipairs(redis.call('SMEMBERS', key('owners-within', name))) do
    if other ~= owner then return true end
  end
  return false
end
local function ownWorkspace(owner, name, shared)
  if not isOwnable(name, shared) then return end
  redis.call('ZADD', root .. ':workspaces-used', nowMs(), name)
  if redis.call('HSETNX', root .. ':workspace-owners', name, owner) == 0 then return end
  for _, folder in ipairs(foldersAbove(name)) do redis.call('HINCRBY', key('owned-within', folder), owner, 1) end
end`,
  'include/admit': `local function admit(args, payer, new, join)
  local workspace, shared = args.new.fields.workspace, args.sharedWorkspaces
  local id, owner, name, digest = args.id, args.owner, args.idempotencyKey, args.requestDigest
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  if isWithdrawn(owner) then return {'withdrawn'} end
  local planned = args.planned
  if planned and not standsAt(planned.id, planned.after, planned.revision) then return {'settled'} end
  local reservation, known = findReserved(owner, name, digest)
  if known then return known end
  if isOwnedByOther(owner, workspace, shared) then return {'refused', 'not_owned', workspace} end
  if countQueued() >= args.maxQueue then return {'full'} end
  local taken, over, kind = weighNew(owner, new.fields.simulated, new.wantedBudget)
  if over then return over end
  local refusal = join and join()
  if refusal then return {'refused', refusal[1], refusal[2]} end
  ownWorkspace(owner, workspace, shared)
  reserve(payer, owner, kind, taken)
  if reservation then redis.call('SET', reservation, id .. ' ' .. digest) end
  redis.call('ZADD', root .. ':index', 0, id)
  redis.call('ZADD', key('index', owner), 0, id)
  redis.call('SADD', root .. ':owners', owner)
  if planned then settleMoments(planned) end
  if args.scheduleId then noteRun(args.scheduleId, id) end
end`,
  'include/keep-attachments': `local function keepAttachments(id, from)
  local kept, aside = key('attachments', id), from and key('attachments', from)
  if aside then
    local fields = redis.call('HGETALL', aside)
    for index = 1, #fields, 2 do
      if redis.call('HSET', kept, fields[index], fields[index + 1]) == 1 then
        redis.call('HINCRBY', kept, 'bytes', #fields[index + 1])
      end
    end
    redis.call('DEL', aside)
  end
  redis.call('PERSIST', kept)
end`,
  'create-list': `local args = cjson.decode(ARGV[1])
local id, new, task = args.id, args.new, args.task
local answer = admit(args, task.id, task)
if answer then return answer end
setAll(id, new.fields)
if args.hasAttachments then keepAttachments(id) end
redis.call('HSET', key('tasks', id), 0, task.id)
setAll(task.id, task.fields)
local position = queueNew(task.id, args.score, args.owner, task)
writeFirst(id, new.before .. position .. new.after)
return {'created', position}`,
  'create-many': `local shared = cjson.decode(ARGV[2])
local room = tonumber(ARGV[1]) - countQueued()
local answers, accepted, withdrawn = {}, {}, {}
local function isGone(owner)
  if withdrawn[owner] == nil then withdrawn[owner] = isWithdrawn(owner) end
  return withdrawn[owner]
end
local function accept(id, name, fields, first, last)
  local owner, workspace = fields.owner, fields.workspace
  if redis.call('EXISTS', record(id)) == 1 then return {'created', 0} end
  if isGone(owner) then return {'withdrawn'} end
  local reservation, known = findReserved(owner, name, fields.requestDigest)
  if known then return known end
  local isNamed = workspace ~= id
  if isNamed and isOwnedByOther(owner, workspace, shared) then return {'refused', 'not_owned', workspace} end
  if room <= 0 then return {'full'} end
  if isNamed then ownWorkspace(owner, workspace, shared) end
  if reservation then redis.call('SET', reservation, id .. ' ' .. fields.requestDigest) end
  redis.call('HSET', record(id), unpack(ARGV, first, last))
  room = room - 1
end
local function failureOf(fault)
  redis.call('SET', root .. ':events-draft', '')
  redis.call('DEL', root .. ':events-draft')
  return {'failed', type(fault) == 'table' and fault.err or tostring(fault)}
end
local at = 3
while at <= #ARGV do
  local first, last = at + 5, at + 4 + 2 * ARGV[at + 4]
  local new = {id = ARGV[at], before = ARGV[at + 2], after = ARGV[at + 3], fields = {}}
  for index = first, last, 2 do new.fields[ARGV[index]] = ARGV[index + 1] end
  local isDone, answer = pcall(accept, new.id, ARGV[at + 1], new.fields, first, last)
  if not isDone then answer = failureOf(answer) end
  answers[#answers + 1] = answer or {}
  if not answer then
    new.answer = #answers
    accepted[#accepted + 1] = new
  end
  at = last + 1
end
if #accepted == 0 then return answers end
local index, waiting, deadlines, owners = {}, {}, {}, {}
local function add(list, score, id)
  list[#list + 1] = score
  list[#list + 1] = id
end
for _, new in ipairs(accepted) do
  local id, owner, score, deadline = new.id, new.fields.owner, new.fields.score, new.fields.queueDeadline
  new.band = bandOf(score)
  add(index, 0, id)
  add(waiting, score, id)
  if deadline then add(deadlines, deadline, id) end
  if not owners[owner] then owners[owner] = {ids = {}, lines = {}, limit = limitOf(owner)} end
  add(owners[owner].ids, 0, id)
  local own = owners[owner].lines
  if not own[new.band] then own[new.band] = {} end
  add(own[new.band], score, id)
end
redis.call('ZADD', root .. ':index', unpack(index))
redis.call('ZADD', root .. ':waiting', unpack(waiting))
if #deadlines > 0 then redis.call('ZADD', root .. ':deadlines', unpack(deadlines)) end
for owner, own in pairs(owners) do
  redis.call('ZADD', key('index', owner), unpack(own.ids))
  redis.call('SADD', root .. ':owners', owner)
  for band, places in pairs(own.lines) do enterLine(band, owner, places) end
end
local inOrder = {}
for _, new in ipairs(accepted) do
  local id, owner, band = new.id, new.fields.owner, new.band
  if inOrder[band] == nil then inOrder[band] = isInOrder(band) end
  local position = inOrder[band] and redis.call('ZRANK', root .. ':waiting', id) + 1
    or positionOf(id, new.fields.score, owner)
  writeFirst(id, new.before .. position .. new.after)
  answers[new.answer] = {'created', position, owners[owner].limit and 1 or 0}
end
return answers`,
  'include/latest-of': `local function latestOf(session)
  for _, id in ipairs(redis.call('ZREVRANGE', key('session', session), 0, -1)) do
    if get(id, 'state') then return id end
    redis.call('ZREM', key('session', session), id)
  end
end`,
  'include/find-tail': `local function findTail(id)
  local session = get(id, 'sessionId')
  local tail = session and latestOf(session) or id
  local next = get(tail, 'next')
  while next and get(next, 'state') and not isOrphan(next) do
    if not isOver(next) or get(next, 'sessionId') then tail = next end
    next = get(next, 'next')
  end
  return tail
end`,
  'include/find-session': `local function findSession(owner, reference)
  local session = reference
  if get(reference, 'state') then
    if get(reference, 'owner') ~= owner then return nil, 'unknown', '' end
    session = get(reference, 'sessionId')
    if not session then
      if get(reference, 'kind') == 'task_list' then return nil, 'list', reference end
      return nil, isOver(reference) and 'unstarted' or 'busy', reference
    end
  end
  local latest = latestOf(session)
  if not latest or get(latest, 'owner') ~= owner then return nil, 'unknown', '' end
  if not isOver(latest) then return nil, 'busy', latest end
  local tail = findTail(latest)
  if not isOver(tail) then return nil, 'busy', tail end
  return session, latest
end`,
  'include/need-folders': `local function needFolders(id)
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZADD', key('folders', host), 0, id)
    redis.call('PERSIST', key('folders', host))
  end
end`,
  'include/wait-for': `local function waitFor(id, tail)
  local workspace = get(tail, 'workspace')
  set(id, 'follows', tail, 'waitingFor', 'session', 'home', get(tail, 'home') or tail)
  set(id, 'workspace', workspace, 'workspaceLock', workspace)
  set(tail, 'next', id)
  needFolders(id)
end`,
  'include/join-session': `local function nameBelow(folder, name)
  local start = folder .. '/'
  if string.sub(name, 1, #start) ~= start then return name end
  local below = string.sub(name, #start + 1)
  return isFresh(string.match(below, '^[^/]*')) and name or below
end
local function isForked(id)
  local session = get(id, 'sessionId')
  return session and redis.call('EXISTS', key('forks', session)) == 1
end
local function joinSession(id, owner, wanted, simulated)
  local tail = wanted.follows and findTail(wanted.reference)
  if tail and (not isOver(tail) or isForked(tail)) then
    if get(tail, 'simulated') ~= simulated then return {'other_model', simulated} end
    waitFor(id, tail)
    return nil
  end
  local session, latest, by = findSession(owner, tail or wanted.reference)
  if not session then return {latest, by} end
  if get(latest, 'simulated') ~= simulated then return {'other_model', simulated} end
  local fork = not wanted.fork and redis.call('SRANDMEMBER', key('forks', session))
  if fork then return {'busy', fork} end
  local name = nameBelow(wanted.workspaceRoot, get(latest, 'workspace'))
  if wanted.workspace and wanted.workspace ~= name then return {'elsewhere', name} end
  if isOwnedByOther(owner, name, wanted.sharedWorkspaces) then return {'not_owned', name} end
  ownWorkspace(owner, name, wanted.sharedWorkspaces)
  local home = get(latest, 'home') or latest
  set(id, 'resumedFrom', latest, 'sourceSession', session, 'home', home)
  set(id, 'workspace', name, 'workspaceLock', name)
  needFolders(id)
  if wanted.fork then
    set(id, 'fork', '1')
    redis.call('SADD', key('forks', session), id)
  else
    set(id, 'sessionId', session)
    enterSession(id, session)
  end
end`,
  'create': `local args = cjson.decode(ARGV[1])
local session = args.session
local function join() return session and joinSession(args.id, args.owner, session, args.new.fields.simulated) end
local answer = admit(args, args.id, args.new, join)
if answer then return answer end
redis.call('HSET', record(args.id), unpack(ARGV, 2))
if args.hasAttachments then keepAttachments(args.id) end
if get(args.id, 'follows') then
  redis.call('ZADD', root .. ':following', args.score, args.id)
  writeFirst(args.id, args.new.before .. 0 .. args.new.after)
  return {'waiting'}
end
beginDeadline(args.id)
return {'created', queueNew(args.id, args.score, args.owner, args.new), limitOf(args.owner) and 1 or 0}`,
  'include/requeue-attempt': `local function requeueAttempt(id, next)
  if next.notBefore then
    set(id, 'notBefore', next.notBefore)
    redis.call('ZADD', root .. ':delayed', get(id, 'score'), id)
    redis.call('ZADD', root .. ':due', next.notBefore, id)
  else
    enterQueue(id, get(id, 'score'))
  end
  if next.queueDeadline then
    set(id, 'queueDeadline', next.queueDeadline)
    redis.call('ZADD', root .. ':deadlines', next.queueDeadline, id)
  end
  return redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')
end`,
  'include/unpark-run': `local function unparkRun(id, next)
  enter(id, 'queued')
  writeNext(id, next.event)
  leaveRest(id)
  return requeueAttempt(id, {queueDeadline = next.queueDeadline})
end`,
  'decide-approval': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
local status, execution, fence, expiresAt, digest, byId =
  unpack(redis.call('HMGET', approval(id), 'status', 'executionId', 'fence', 'expiresAt', 'digest', 'decidedById'))
if not status then return {'missing'} end
if status ~= 'pending' then
  return {digest == args.digest and byId == args.byId and 'same' or 'closed'}
end
local now = nowMs()
if not holdsFence(execution, fence) then
  closeApproval(id, 'withdrawn')
  return {'closed'}
end
local isParked = isResting(get(execution, 'state'))
if isParked and not args.parked then return {'moved'} end
if now >= tonumber(expiresAt) then
  closeApproval(id, 'expired')
  return {'closed'}
end
closeApproval(id, args.status, 'decision', args.decision, 'digest', args.digest, 'decidedAt', now,
  'decidedBy', args.by, 'decidedById', args.byId)
redis.call('HINCRBY', record(execution), 'approvalBytes', #args.decision)
if not isParked then return {'decided'} end
writeNext(execution, args.parked.event)
setAll(execution, args.parked.unparked.fields)
return {'unparked', execution, unparkRun(execution, args.parked.unparked)}`,
  'tokens/include/announce': `local function announce(what, id)
  redis.call('INCR', root .. ':token-revision')
  redis.call('PUBLISH', root .. ':token-changes', what .. ' ' .. id)
end`,
  'tokens/include/limit-owner': `local function limitOwner(id, most)
  if most then redis.call('HSET', root .. ':owner-limits', id, most)
  else redis.call('HDEL', root .. ':owner-limits', id) end
end`,
  'tokens/include/drop-token': `local function dropToken(id)
  local execution = redis.call('HGET', key('token', id), 'executionId')
  local wasThere = redis.call('DEL', key('token', id)) == 1
  redis.call('ZREM', root .. ':tokens', id)
  redis.call('ZREM', root .. ':token-ends', id)
  if execution then redis.call('SREM', key('tokens-of', execution), id) end
  if redis.call('EXISTS', key('index', id)) == 0 then limitOwner(id, nil) end
  if wasThere then announce('removed', id) end
  return wasThere
end`,
  'tokens/include/drop-tokens-of': `local function dropTokensOf(execution)
  for _, id in ipairs(redis.call('SMEMBERS', key('tokens-of', execution))) do dropToken(id) end
end`,
  'include/forget-approvals': `local function forgetApprovals(id)
  for _, each in ipairs(approvalIds(id)) do
    local owner = redis.call('HGET', approval(each), 'owner')
    redis.call('ZREM', root .. ':closed-approvals', each)
    if owner then redis.call('ZREM', key('closed-approvals', owner), each) end
    redis.call('DEL', approval(each))
  end
  redis.call('DEL', key('approvals-of', id))
end`,
  'tokens/include/is-gone': `local function isGone(id) return isMade(id) and redis.call('EXISTS', key('token', id)) == 0 end`,
  'include/forget-owner': `local function forgetOwner(owner)
  if redis.call('EXISTS', key('index', owner)) == 1 then return end
  redis.call('SREM', root .. ':owners', owner)
  if isGone(owner) then limitOwner(owner, nil) end
end`,
  'include/leave-session': `local function leaveSession(id)
  local session = get(id, 'sessionId')
  if session then redis.call('ZREM', key('session', session), id) end
  for _, host in ipairs(hostsOf(id)) do
    redis.call('ZREM', key('folders', host), id)
    expireFolders(host)
  end
end`,
  'include/release': `local function release(id)
  dropTokensOf(id)
  local bytes = redis.call('HGET', root .. ':finished-bytes', id)
  redis.call('ZREM', root .. ':finished', id)
  redis.call('HDEL', root .. ':finished-bytes', id)
  if bytes and redis.call('DECRBY', root .. ':finished-total', bytes) <= 0 then
    redis.call('DEL', root .. ':finished-total')
  end
end`,
  'include/forget': `local function forget(id, owner)
  release(id)
  leaveSession(id)
  for _, task in ipairs(taskIds(id)) do
    leaveSession(task)
    dropTokensOf(task)
    forgetApprovals(task)
    for _, kind in ipairs({'execution', 'log', 'events', 'files', 'messages'}) do redis.call('DEL', key(kind, task)) end
  end
  forgetApprovals(id)
  for _, kind in ipairs({'execution', 'log', 'events', 'files', 'tasks', 'messages'}) do
    redis.call('DEL', key(kind, id))
  end
  redis.call('ZREM', root .. ':index', id)
  redis.call('ZREM', key('index', owner), id)
  forgetOwner(owner)
end`,
  'delete': `exceedMemory()
local id, owner = ARGV[1], ARGV[2]
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if not isEnded(state) then return {'refused', state} end
local claim, reservation = get(id, 'claim'), reservationOf(id)
if reservation then redis.call('DEL', reservation) end
forget(id, owner)
return {'deleted', claim}`,
  'disown': `local name = ARGV[1]
local used = redis.call('ZSCORE', root .. ':workspaces-used', name)
if not used or tonumber(used) > tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', root .. ':workspaces-used', name)
local owner = redis.call('HGET', root .. ':workspace-owners', name)
if not owner then return 0 end
redis.call('HDEL', root .. ':workspace-owners', name)
for _, folder in ipairs(foldersAbove(name)) do
  local within = key('owned-within', folder)
  if redis.call('HINCRBY', within, owner, -1) <= 0 then redis.call('HDEL', within, owner) end
end
return 1`,
  'events/include/owe-follow-up': `local OWED_MS = 2 * 24 * 60 * 60 * 1000
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
  'events/include/mark-message': `local function markMessage(id, kind, messageId, at, reason, sent)
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
  'events/include/note-messages': `local function noteMessages(id)
  local messages = key('messages', id)
  local noted, count = unpack(redis.call('HMGET', messages, 'noted', 'count'))
  if noted == count then return end
  for number = tonumber(noted or '0') + 1, tonumber(count) do
    local event = redis.call('HGET', messages, 'event:' .. number)
    if event then writeNext(id, event) end
    redis.call('HDEL', messages, 'event:' .. number)
  end
  redis.call('HSET', messages, 'noted', count)
end`,
  'include/expire-messages': `local function expireMessages(id)
  local restMs = redis.call('PTTL', record(id))
  if restMs > 0 then redis.call('PEXPIRE', key('messages', id), restMs) end
end`,
  'drop-messages': `local EVENT = '"type":"message.dropped","at":"%s","attempt":%d,"data":{"messageId":"%s","reason":"%s"%s}}'
exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state = args.id, get(args.id, 'state')
local isAllowed = (args.right == 'holder' and holdsFence(id, args.fence))
  or (args.right == 'queued' and isUnheld(id, args))
  or (args.right == 'abandoned' and isActive(state) and not hasLease(id))
  or (args.right == 'ended' and state and isEnded(state))
if not isAllowed then return {'stale'} end
local messages = key('messages', id)
local isLate = args.right == 'ended'
if not isLate then noteMessages(id) end
for number = 1, tonumber(redis.call('HGET', messages, 'count') or '0') do
  if redis.call('HEXISTS', messages, 'state:' .. number) == 0 then
    local message = cjson.decode(redis.call('HGET', messages, number))
    local messageId, owed = message.id, redis.call('HEXISTS', messages, 'owed:' .. number) == 1
    local following = owed and string.format(',"followUpId":"%s"', message.followUpId) or ''
    if not isLate then
      writeNext(id, string.format(EVENT, args.at, args.attempt, messageId, args.reason, following))
    end
    markMessage(id, 'dropped', messageId, args.at, args.reason)
  end
end
if isLate then
  redis.call('HSET', messages, 'noted', redis.call('HGET', messages, 'count') or '0')
  expireMessages(id)
end
redis.call('HSET', messages, 'closing', redis.call('HGET', key('log', id), 'fence') or '')
return {'dropped'}`,
  'enter': `exceedMemory()
local id, fence, to = ARGV[1], ARGV[2], ARGV[3]
local state = get(id, 'state')
if not holdsFence(id, fence) or (state ~= 'running' and state ~= 'paused') then return 'stale' end
enter(id, to)
return 'ok'`,
  'forget-owner': `forgetOwner(ARGV[1])
return 'OK'`,
  'include/reserve-rest': `local function reserveRest(id, wanted)
  local owner, kind = get(id, 'owner'), kindOf(get(id, 'simulated'))
  local day = not isResting(get(id, 'state')) and (get(id, 'bookDay') or ledgerDay(id))
    or whole(math.floor(nowMs() / DAY_MS))
  local own = reservedOf(id)
  local wants = {}
  for unit, want in pairs(wanted) do
    local run = want.total and want.total - own[unit].booked
    if want.cap then run = math.min(run or want.cap, want.cap) end
    wants[unit] = {run = run, cap = want.cap, isRest = want.isRest}
  end
  local taken, refusal = weigh(owner, kind, wants, day, own)
  if refusal then return refusal end
  local book = bookOf(kind, day, owner)
  for unit, amount in pairs(taken) do
    touch(book, unit .. ':reserved', amount - (own[unit].amount or 0))
    set(id, 'reserved:' .. unit, whole(amount), 'base:' .. unit, whole(own[unit].booked))
  end
  set(id, 'bookDay', day)
end`,
  'go-on': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state = args.id, get(args.id, 'state')
if state ~= args.state or not isResting(state) then return {'refused', state or 'missing'} end
if get(id, 'claim') ~= args.claim then return {'refused', state} end
if args.wantedBudget then
  local refusal = reserveRest(id, cjson.decode(args.wantedBudget))
  if refusal then
    if args.nextDay then
      set(id, 'notBefore', args.nextDay)
      redis.call('ZADD', key('resting', 'budget'), math.min(args.nextDay, tonumber(get(id, 'parkedUntil'))), id)
    end
    return refusal
  end
end
setAll(id, args.fields)
for _, event in ipairs(args.events or {}) do writeNext(id, event) end
return {'unparked', unparkRun(id, args)}`,
  'hold-approval': `local id, execution, fence, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not holdsFence(execution, fence) or redis.call('HGET', approval(id), 'status') ~= 'pending' then return 0 end
if why == '' then redis.call('HDEL', approval(id), 'heldBecause')
else redis.call('HSET', approval(id), 'heldBecause', why) end
return 1`,
  'keep-files': `local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return 'stale' end
for index = 4, #ARGV, 2 do
  if redis.call('HSET', key('files', id), ARGV[index], ARGV[index + 1]) == 1 then
    redis.call('HINCRBY', key('files', id), 'bytes', #ARGV[index + 1])
  end
end
redis.call('PEXPIRE', key('files', id), ARGV[3])
return 'ok'`,
  'list-abandoned': `local leases, now, expected, tolerance = root .. ':leases', nowMs(), tonumber(ARGV[2]), tonumber(ARGV[3])
local seen = tonumber(redis.call('GET', root .. ':lock:clock'))
redis.call('SET', root .. ':lock:clock', now, 'PX', tolerance)
if expected and math.abs(now - expected) > tolerance and not (seen and math.abs(now - seen) <= tolerance) then
  for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, now + (tonumber(get(id, 'leaseMs')) or tolerance), id)
  end
  return {now}
end
return {now, unpack(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[1]))}`,
  'list-active': `local answer = {}
for _, id in ipairs(redis.call('ZRANGE', root .. ':leases', 0, -1)) do
  for _, value in ipairs(redis.call('HMGET', record(id), 'state', 'startedAt', 'workerId', 'owner')) do
    answer[#answer + 1] = value or ''
  end
end
return answer`,
  'list-due': `local most = tonumber(ARGV[1])
local oldest = redis.call('ZRANGE', root .. ':waiting', 0, most - 1, 'WITHSCORES')
for index = 1, #oldest, 2 do
  local id, score = oldest[index], oldest[index + 1]
  local owner = get(id, 'owner')
  if owner and not redis.call('ZSCORE', lineOf(bandOf(score), owner), id) then enterTurn(id, score) end
end
local ids, due, taken = {}, 0, {}
for band = 0, 2 do
  for _, owner in ipairs(redis.call('ZRANGE', turnsOf(band), 0, -1)) do
    local line, room = lineOf(band, owner), math.huge
    local isFree = mayRun(owner)
    local limit, active = limitOf(owner)
    if limit then room = isFree and limit - active - (taken[owner] or 0) or 0 end
    local count = math.max(0, math.min(room, redis.call('ZCARD', line)))
    taken[owner] = (taken[owner] or 0) + count
    due = due + count
    local listed = math.min(count, most - #ids)
    for _, id in ipairs(listed > 0 and redis.call('ZRANGE', line, 0, listed - 1) or {}) do ids[#ids + 1] = id end
  end
end
return {due, redis.call('ZCARD', root .. ':leases'), unpack(ids)}`,
  'include/is-alone': `local function isAlone(band)
  return redis.call('EXISTS', root .. ':owner-limits') == 0 and redis.call('ZCARD', turnsOf(band)) <= 1
end`,
  'include/turn-of': `local function turnOf(id, score, owner)
  if not owner then score, owner = unpack(redis.call('HMGET', record(id), 'score', 'owner')) end
  local position = owner and positionOf(id, score, owner)
  if not position then return {} end
  local limit, active = limitOf(owner)
  local band = bandOf(score)
  local place = limit and redis.call('ZRANK', lineOf(band, owner), id)
  if not place then return {position} end
  for higher = 0, tonumber(band) - 1 do place = place + redis.call('ZCARD', lineOf(higher, owner)) end
  return {position, place + 1, limit, active}
end`,
  'list': `local owner, newest, oldest, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fields = {unpack(ARGV, 5)}
local answer, size = {}, 0
local alone = {}
local function turnIn(id, score)
  local band = bandOf(score)
  if alone[band] == nil then alone[band] = isAlone(band) end
  if not alone[band] then return turnOf(id, score, owner) end
  local rank = redis.call('ZRANK', root .. ':waiting', id)
  return rank and {rank + 1} or {}
end
local ids = redis.call('ZREVRANGEBYLEX', key('index', owner), newest, oldest, 'LIMIT', 0, count)
for _, id in ipairs(ids) do
  local values = redis.call('HMGET', record(id), 'state', 'shortRequest', 'score', unpack(fields))
  local state = values[1]
  answer[size + 1], answer[size + 2] = id, lastSeq(id)
  answer[size + 3] = state == 'queued' and turnIn(id, values[3]) or {}
  answer[size + 4] = values[2] or (state and get(id, 'request'))
  answer[size + 5] = values
  size = size + 5
end
return answer`,
  'open-scheduled': `local schedule = ARGV[1]
if not standsAt(schedule, ARGV[2], ARGV[3]) then return {'moved'} end
local open = {'open'}
for _, id in ipairs(redis.call('SMEMBERS', key('schedule-open', schedule))) do
  if isOver(id) then redis.call('SREM', key('schedule-open', schedule), id)
  else open[#open + 1] = id end
end
return open`,
  'positions': `local answers = {}
for index, id in ipairs(ARGV) do answers[index] = turnOf(id) end
return answers`,
  'reclaim': `exceedMemory()
local id = ARGV[1]
if get(id, 'state') ~= 'queued' or get(id, 'claim') ~= ARGV[2] then return '' end
return redis.call('HINCRBY', record(id), 'claim', 1)`,
  'renew': `exceedMemory()
local id = ARGV[1]
if not holdsFence(id, ARGV[2]) then return {'stale'} end
redis.call('ZADD', root .. ':leases', nowMs() + tonumber(ARGV[3]), id)
if ARGV[4] ~= '' then set(id, 'usage', ARGV[4]) end
local requests = redis.call('HMGET', record(id), 'cancelBy', 'cancelReason', 'pauseWanted', 'pauseBy', 'pauseReason',
  'budgetChanges')
for index = 1, 6 do requests[index] = requests[index] or '' end
requests[#requests + 1] = redis.call('HGET', key('messages', id), 'count') or '0'
requests[#requests + 1] = get(id, 'approvalsClosed') or ''
return {'ok', unpack(requests)}`,
  'include/add-open-approval': `local function addOpenApproval(id, added)
  local ids = openApprovals(id)
  ids[#ids + 1] = added
  setOpenApprovals(id, ids)
end`,
  'request-approval': `local args = cjson.decode(ARGV[1])
local id, execution = args.id, args.executionId
local before = redis.call('HMGET', approval(id), 'requestedAt', 'expiresAt')
if before[1] then return {'requested', tonumber(before[1]), tonumber(before[2])} end
if not holdsFence(execution, args.fence) or not hasLease(execution) then return {'stale'} end
if #openApprovals(execution) >= args.maxOpen then return {'full', args.maxOpen} end
if redis.call('ZCARD', key('approvals-of', execution)) >= args.maxAll then return {'full', args.maxAll} end
local now, owner = nowMs(), get(execution, 'owner')
local expiresAt = now + args.timeoutMs
redis.call('HSET', approval(id), 'executionId', execution, 'owner', owner, 'fence', args.fence, 'status', 'pending',
  'asked', args.asked, 'requestedAt', now, 'expiresAt', expiresAt)
redis.call('ZADD', key('approvals-of', execution), 0, id)
redis.call('ZADD', root .. ':open-approvals', 0, id)
redis.call('ZADD', key('open-approvals', owner), 0, id)
redis.call('ZADD', root .. ':approval-deadlines', expiresAt, id)
addOpenApproval(execution, id)
redis.call('HINCRBY', record(execution), 'approvalCount', 1)
redis.call('HINCRBY', record(execution), 'approvalBytes', #args.asked)
local list = get(execution, 'parentId')
if list then addOpenApproval(list, id) end
noteOutbox(execution, 'approval.requested', id)
return {'requested', now, expiresAt}`,
  'request': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id = args.id
local state = get(id, 'state')
if not isActive(state) or (args.kind == 'pause' and state == 'starting') then return {'refused', state or 'missing'} end
if args.kind == 'cancel' then
  if get(id, 'cancelBy') then return {'known', state} end
  set(id, 'cancelBy', args.by, 'cancelReason', args.reason)
else
  set(id, 'pauseWanted', args.wanted and '1' or '0', 'pauseBy', args.by, 'pauseReason', args.reason)
end
return {'requested', state}`,
  'requeue': `exceedMemory()
local id, fence = ARGV[1], ARGV[2]
if get(id, 'state') ~= 'starting' then return {'refused'} end
if fence == '' and hasLease(id) then return {'refused'} end
if fence ~= '' and not holdsFence(id, fence) then return {'refused'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
if redis.call('HINCRBY', record(id), 'lostStarts', 1) > tonumber(ARGV[3]) then return {'exhausted'} end
takeFence(id)
enter(id, 'queued')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
leaveWork(id)
enterQueue(id, get(id, 'score'))
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
return {'requeued', redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}`,
  'retain': `exceedMemory()
local maxBytes, maxExecutions, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function isOverLimit()
  local bytes = tonumber(redis.call('GET', root .. ':finished-total') or '0')
  return bytes > maxBytes or redis.call('ZCARD', root .. ':finished') > maxExecutions
end
for _, id in ipairs(redis.call('ZRANGE', root .. ':finished', 0, count - 1)) do
  if redis.call('EXISTS', record(id)) == 0 then release(id) end
end
local forgotten = {}
while #forgotten < count * 2 and isOverLimit() do
  local id = redis.call('ZRANGE', root .. ':finished', 0, 0)[1]
  if not id then break end
  local claim, owner = get(id, 'claim'), get(id, 'owner')
  if claim then
    for _, task in ipairs(taskIds(id)) do
      forgotten[#forgotten + 1] = task
      forgotten[#forgotten + 1] = get(task, 'claim') or '1'
    end
    forget(id, owner)
    forgotten[#forgotten + 1] = id
    forgotten[#forgotten + 1] = claim
  else
    release(id)
  end
end
return forgotten`,
  'include/keep-approval': `local function keepApproval(id, attempt)
  redis.call('HDEL', approval(id), 'heldBecause')
  redis.call('HSET', approval(id), 'fence', '', 'parkedAt', attempt)
end`,
  'include/book-run': `local function bookRun(id)
  local book = bookOf(kindOf(get(id, 'simulated')), get(id, 'bookDay') or ledgerDay(id), get(id, 'owner'))
  local reserved = reservedOf(id)
  local spent = bookSpent(book, cjson.decode(get(id, 'usage')), reserved)
  for unit, amount in pairs(spent) do
    set(id, 'booked:' .. unit, whole(amount))
    if reserved[unit].amount then
      set(id, 'base:' .. unit, whole((reserved[unit].base or 0) + reserved[unit].amount), 'reserved:' .. unit, '0')
    end
  end
end`,
  'include/rest': `local function rest(id, parked)
  set(id, 'parkedUntil', parked['until'])
  redis.call('HDEL', record(id), 'notBefore')
  if parked.notBefore then set(id, 'notBefore', parked.notBefore) end
  redis.call('ZADD', key('resting', parked.reason), math.min(parked['until'], parked.notBefore or math.huge), id)
  if get(id, 'parentId') then redis.call('ZADD', key('index', get(id, 'owner')), 0, id) end
  if parked.reason == 'budget' then bookRun(id) end
end`,
  'retry': `local args = cjson.decode(ARGV[1])
local id, fence, parked = args.id, args.fence, args.parked
local state = get(id, 'state')
local isOver = state == 'running' or state == 'paused' or (state == 'starting' and fence)
if not isOver then return {'refused', state or 'missing'} end
if not fence and hasLease(id) then return {'alive'} end
if fence and not holdsFence(id, fence) then return {'stale'} end
local cancelBy = get(id, 'cancelBy')
if cancelBy then return {'cancelled', cancelBy, get(id, 'cancelReason')} end
if parked and parked.budgetRevision and (get(id, 'budgetRevision') or '0') ~= parked.budgetRevision then
  return {'moved'}
end
if not enter(id, parked and 'waiting_' .. parked.reason or 'queued') then return {'refused', state} end
settleApprovals(id, args.closing, parked and parked.approval)
if state ~= 'starting' then redis.call('HDEL', record(id), 'ranMs', 'unparkNote') end
setAll(id, args.fields)
writeNext(id, args.event)
redis.call('HSET', key('log', id), 'fence', '')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
if parked then
  if parked.approval then keepApproval(parked.approval, parked.attempt) end
  rest(id, parked)
  noteOutbox(id, 'execution.parked')
  return {'parked', unpack(passWork(id))}
end
local ready = args.notBefore and passWork(id) or {}
leaveWork(id)
local claim, priority = requeueAttempt(id, args)
return {'retrying', claim, priority, unpack(ready)}`,
  'include/store-message': `local function storeMessage(args, state)
  local messages = key('messages', args.id)
  local number = redis.call('HINCRBY', messages, 'count', 1)
  redis.call('HSET', messages, number, args.message, 'number:' .. args.messageId, number)
  redis.call('HINCRBY', messages, 'bytes', #args.message)
  if args.key then redis.call('HSET', messages, 'key:' .. args.key, number .. ' ' .. args.digest) end
  if state then
    redis.call('HSET', messages, 'state:' .. number, state)
  else
    redis.call('HINCRBY', messages, 'open', 1)
  end
  return number
end`,
  'send-message': `local args = cjson.decode(ARGV[1])
local id, messages = args.id, key('messages', args.id)
local state = get(id, 'state')
if not state then return {'refused', 'missing'} end
if get(id, 'kind') == 'task_list' then return {'refused', state} end
local own = redis.call('HGET', messages, 'number:' .. args.messageId)
if own then return {'accepted', tonumber(own), state} end
if isWithdrawn(get(id, 'owner')) then return {'withdrawn'} end
local known = args.key and redis.call('HGET', messages, 'key:' .. args.key)
if known then
  local number, digest = string.match(known, '^(%d+) (.*)$')
  if digest ~= args.digest then return {'conflict'} end
  return {'replayed', tonumber(number)}
end
local count, open, closing = unpack(redis.call('HMGET', messages, 'count', 'open', 'closing'))
if tonumber(count or '0') >= args.maxAll then return {'full', args.maxAll} end
needMemory()
local isClosed = isEnded(state) or closing == (redis.call('HGET', key('log', id), 'fence') or '')
local fate = args.followUpId and 'follow_up' or isClosed and 'dropped ' .. args.at .. ' ended'
if not fate and tonumber(open or '0') >= args.maxOpen then return {'full', args.maxOpen} end
if fate and not args.followUpId then args.message = args.dropped end
if args.attached and not fate then
  local bytes = redis.call('HGET', key('attachments', id), 'bytes')
  if tonumber(bytes or '0') + args.attached > args.maxAttached then return {'crowded', args.maxAttached} end
  keepAttachments(id, args.messageId)
elseif args.attached and args.owed then
  keepAttachments(args.owedId, args.messageId)
end
local number = storeMessage(args, fate or nil)
if args.owed then redis.call('HSET', messages, 'owed:' .. number, args.owed) end
if isClosed then
  redis.call('HSET', messages, 'noted', number)
  if args.owed then oweFollowUp(id, number) end
  if isEnded(state) then expireMessages(id) end
else
  redis.call('HSET', messages, 'event:' .. number, args.event)
  if not isActive(state) then noteMessages(id) end
end
return {'accepted', number, state}`,
  'set-budget': `exceedMemory()
local args = cjson.decode(ARGV[1])
local id, state, unparked = args.id, get(args.id, 'state'), args.unparked
if not state or isEnded(state) then return {'refused', state or 'missing'} end
if get(id, 'budgetChanges') == args.changes then return {'changed'} end
if state ~= args.state or (get(id, 'budgetRevision') or '0') ~= args.revision then return {'moved'} end
if unparked or not isResting(state) then
  local refusal = reserveRest(id, cjson.decode(args.wantedBudget))
  if refusal then return refusal end
end
set(id, 'budgetChanges', args.changes)
setAll(id, args.fields)
redis.call('HINCRBY', record(id), 'budgetRevision', 1)
if not isActive(state) then writeNext(id, args.event) end
if not unparked then return {'changed'} end
setAll(id, unparked.fields)
return {'unparked', unparkRun(id, unparked)}`,
  'include/begin-session': `local function beginSession(id, before)
  local session, source = get(id, 'sessionId'), get(id, 'sourceSession')
  if source then redis.call('SREM', key('forks', source), id) end
  if before == session then return end
  if before then redis.call('ZREM', key('session', before), id) end
  enterSession(id, session)
end`,
  'start': `local SHORT = 32
local args = cjson.decode(ARGV[1])
local id = args.id
local function started(last)
  local answer = {'started', last}
  if last > SHORT then return answer end
  for _, entry in ipairs(redis.call('XRANGE', key('events', id), '-', '+')) do answer[#answer + 1] = entry[2][2] end
  return answer
end
if not holdsFence(id, args.fence) then return {'stale'} end
local state = get(id, 'state')
if state == 'running' or state == 'paused' then return started(lastSeq(id)) end
if not hasLease(id) then return {'stale'} end
if get(id, 'cancelBy') then return {'cancelled'} end
if not enter(id, 'running') then return {'stale'} end
local before = get(id, 'sessionId')
local list = get(id, 'parentId')
if list and get(id, 'attempt') == '0' then
  if enter(list, 'running') then
    set(list, 'startedAt', args.fields.startedAt)
    noteOutbox(list, 'execution.started')
  end
  writeNext(list, args.listEvent)
end
local isFirst = get(id, 'attempt') == '0'
setAll(id, args.fields)
if args.fields.home then needFolders(id) end
beginSession(id, before)
local last = writeNext(id, args.event)
if isFirst then noteOutbox(id, 'execution.started') end
return started(last)`,
  'take-over': `local id = ARGV[1]
if not get(id, 'follows') then redis.call('ZREM', root .. ':following', id) end
local ready, neverComes = takeOver(id)
if neverComes then return {'orphan'} end
if #ready == 0 then return {'waiting'} end
return {'ready', unpack(ready)}`,
  'take-places': `local args = cjson.decode(ARGV[1])
local id, places = args.id, args.places
if not holdsFence(id, args.fence) then return {'stale'} end
local state = get(id, 'state')
if state ~= 'starting' then return {'refused', state or 'missing'} end
local owner, wanted = holderOf(id), cjson.encode(places)
local isOwn = true
for _, place in ipairs(places) do isOwn = isOwn and redis.call('GET', key('workspace', place)) == owner end
if isOwn then return {'taken'} end
local held = findHeld(owner, places)
if not held then
  local ready = letGo(owner, placesOf(owner))
  holdFolders(owner, places)
  set(owner, 'places', wanted)
  return {'taken', unpack(ready)}
end
if get(id, 'cancelBy') then return {'cancelled'} end
takeFence(id)
enter(id, 'queued')
redis.call('HDEL', record(id), 'workerId')
redis.call('ZREM', root .. ':leases', id)
local ready = passWork(id)
local deadline = get(id, 'queueDeadline')
if deadline then redis.call('ZADD', root .. ':deadlines', deadline, id) end
park(id, held)
set(id, 'wantedPlaces', wanted)
local workspace = get(id, 'workspaceLock')
if workspace and not holdsWorkspace(owner) then
  for _, value in ipairs(letGo(owner, {workspace})) do ready[#ready + 1] = value end
end
return {'parked', unpack(ready)}`,
  'try-lock': `local lock, now, milliseconds = root .. ':lock:' .. ARGV[1], nowMs(), tonumber(ARGV[2])
local takenAt = tonumber(redis.call('GET', lock))
if takenAt and math.abs(now - takenAt) < milliseconds then return 0 end
redis.call('SET', lock, now, 'PX', milliseconds)
return 1`,
  'unpark': `local id = ARGV[1]
local name = parkedOn(id)
if not name then
  redis.call('ZREM', root .. ':parked', id)
  return {}
end
if isHeld(name, holderOf(id)) then return {} end
local wanted = get(id, 'wantedPlaces')
wanted = wanted and cjson.decode(wanted) or {}
wanted[#wanted + 1] = get(id, 'workspaceLock') or nil
local held = findHeld(holderOf(id), wanted)
if not held then return wakeNext(name) end
redis.call('ZREM', key('parked', name), id)
park(id, held)
return {}`,
  'wake-due': `for _, id in ipairs(redis.call('ZRANGEBYSCORE', root .. ':due', '-inf', nowMs(), 'LIMIT', 0, 100)) do
  redis.call('ZREM', root .. ':due', id)
  redis.call('ZREM', root .. ':delayed', id)
  if get(id, 'state') == 'queued' then
    redis.call('HDEL', record(id), 'notBefore')
    enterQueue(id, get(id, 'score'))
    return {id, redis.call('HINCRBY', record(id), 'claim', 1), get(id, 'priority')}
  end
end
return {}`,
}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
  ccAdvanceList: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'constant/DAY_MS', 'platform/include/now-ms', 'history/include/book-of',
    'history/include/whole', 'history/include/touch', 'history/include/reserve', 'include/record', 'include/get',
    'constant/TRANSITIONS', 'include/is-ended', 'include/is-recorded', 'events/include/take-fence', 'include/has-lease',
    'include/over', 'events/include/write-first', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/enter-turn', 'include/enter-queue',
    'include/is-in-order', 'include/limit-of', 'include/position-of', 'include/queue-new', 'include/set',
    'include/set-all', 'include/task-at', 'history/include/weigh', 'include/kind-of', 'include/weigh-new',
    'advance-list',
  ),
  ccAppendListEvent: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/last-seq',
    'events/include/write', 'events/include/write-next', 'platform/include/exceed-memory', 'include/record',
    'include/get', 'include/set', 'append-list-event',
  ),
  ccBlock: join(
    'platform/include/now-ms', 'platform/include/root', 'block',
  ),
  ccCallWaiting: join(
    'platform/include/root', 'platform/include/key', 'include/record', 'include/get', 'include/turn-keys',
    'include/call-next', 'include/limit-of', 'include/may-run', 'call-waiting',
  ),
  ccCancelList: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'platform/include/exceed-memory', 'platform/include/now-ms', 'include/record',
    'include/get', 'include/is-active', 'constant/TRANSITIONS', 'include/is-ended', 'include/is-recorded',
    'include/set', 'include/task-at', 'cancel-list',
  ),
  ccClaim: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/take-fence',
    'platform/include/need-memory', 'platform/include/now-ms', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/record', 'include/get', 'include/choose-credential', 'include/served-keys', 'include/turn-clock',
    'include/turn-keys', 'include/enter-line', 'include/enter-turn', 'constant/TRANSITIONS', 'include/set',
    'include/enter', 'include/folders-above', 'include/is-active', 'include/is-ended', 'include/is-resting',
    'include/holds-workspace', 'include/is-held', 'include/find-held', 'include/highest-free', 'include/hold-folders',
    'include/holder-of', 'include/limit-of', 'include/may-run', 'include/is-due', 'include/leave-turn',
    'include/parked-on', 'include/leave-queue', 'include/next-due', 'include/park', 'include/enter-queue',
    'include/wake-next', 'include/pass-on', 'include/take-turn', 'include/use-turn', 'claim',
  ),
  ccCloseApproval: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/now-ms', 'platform/include/key',
    'include/approval', 'include/record', 'include/get', 'include/open-approvals', 'include/set',
    'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval', 'close-approval',
  ),
  ccConcludeAbandoned: join(
    'platform/include/root', 'platform/include/key', 'events/include/take-fence', 'platform/include/exceed-memory',
    'events/include/last-seq', 'events/include/pack', 'events/include/write', 'events/include/write-next',
    'platform/include/now-ms', 'schedules/include/note-end', 'constant/MODELS_KEPT', 'constant/OTHER',
    'telemetry/include/count-end', 'history/include/history-kept-ms', 'history/include/remember',
    'history/include/learn', 'constant/DAY_MS', 'history/include/book-of', 'constant/MICRO', 'history/include/whole',
    'history/include/touch', 'history/include/book-spent', 'history/include/settle', 'history/include/settle-payments',
    'include/record', 'include/get', 'include/kind-of', 'include/ledger-day', 'include/reserved-of', 'include/account',
    'constant/TRANSITIONS', 'include/set', 'include/enter', 'include/approval-ids', 'include/approval',
    'include/expire', 'include/has-open-messages', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-keys', 'include/leave-turn', 'include/parked-on', 'include/leave-queue', 'include/leave-rest',
    'include/note-outbox', 'include/call-next', 'include/leave-work', 'include/pass-work', 'include/folders-above',
    'include/turn-clock', 'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/wake-next',
    'include/let-go', 'include/is-active', 'include/is-ended', 'include/is-resting', 'include/holds-workspace',
    'include/is-held', 'include/pass-on', 'include/places-of', 'include/release-workspace', 'include/reservation-of',
    'include/size-of', 'include/task-ids', 'include/retain', 'include/open-approvals', 'include/sees-approvals',
    'include/set-all', 'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval',
    'include/settle-approvals', 'include/expire-folders', 'include/is-fresh', 'include/hosts-of',
    'include/settle-session', 'include/begin-deadline', 'include/enter-session', 'include/is-over', 'include/is-orphan',
    'include/take-over', 'include/conclude', 'include/has-lease', 'conclude-abandoned',
  ),
  ccConcludeList: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/exceed-memory',
    'events/include/last-seq', 'events/include/pack', 'events/include/write', 'events/include/write-next',
    'platform/include/now-ms', 'schedules/include/note-end', 'constant/MODELS_KEPT', 'constant/OTHER',
    'telemetry/include/count-end', 'history/include/history-kept-ms', 'history/include/remember',
    'history/include/learn', 'constant/DAY_MS', 'history/include/book-of', 'constant/MICRO', 'history/include/whole',
    'history/include/touch', 'history/include/book-spent', 'history/include/settle', 'history/include/settle-payments',
    'include/record', 'include/get', 'include/kind-of', 'include/ledger-day', 'include/reserved-of', 'include/account',
    'constant/TRANSITIONS', 'include/set', 'include/enter', 'include/approval-ids', 'include/approval',
    'include/expire', 'include/has-open-messages', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-keys', 'include/leave-turn', 'include/parked-on', 'include/leave-queue', 'include/leave-rest',
    'include/note-outbox', 'include/call-next', 'include/leave-work', 'include/pass-work', 'include/folders-above',
    'include/turn-clock', 'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/wake-next',
    'include/let-go', 'include/is-active', 'include/is-ended', 'include/is-resting', 'include/holds-workspace',
    'include/is-held', 'include/pass-on', 'include/places-of', 'include/release-workspace', 'include/reservation-of',
    'include/size-of', 'include/task-ids', 'include/retain', 'include/open-approvals', 'include/sees-approvals',
    'include/set-all', 'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval',
    'include/settle-approvals', 'include/expire-folders', 'include/is-fresh', 'include/hosts-of',
    'include/settle-session', 'include/begin-deadline', 'include/enter-session', 'include/is-over', 'include/is-orphan',
    'include/take-over', 'include/conclude', 'include/has-lease', 'conclude-list',
  ),
  ccConcludeQueued: join(
    'platform/include/root', 'platform/include/key', 'events/include/take-fence', 'platform/include/exceed-memory',
    'events/include/last-seq', 'events/include/pack', 'events/include/write', 'events/include/write-next',
    'platform/include/now-ms', 'schedules/include/note-end', 'constant/MODELS_KEPT', 'constant/OTHER',
    'telemetry/include/count-end', 'history/include/history-kept-ms', 'history/include/remember',
    'history/include/learn', 'constant/DAY_MS', 'history/include/book-of', 'constant/MICRO', 'history/include/whole',
    'history/include/touch', 'history/include/book-spent', 'history/include/settle', 'history/include/settle-payments',
    'include/record', 'include/get', 'include/kind-of', 'include/ledger-day', 'include/reserved-of', 'include/account',
    'constant/TRANSITIONS', 'include/set', 'include/enter', 'include/approval-ids', 'include/approval',
    'include/expire', 'include/has-open-messages', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-keys', 'include/leave-turn', 'include/parked-on', 'include/leave-queue', 'include/leave-rest',
    'include/note-outbox', 'include/call-next', 'include/leave-work', 'include/pass-work', 'include/folders-above',
    'include/turn-clock', 'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/wake-next',
    'include/let-go', 'include/is-active', 'include/is-ended', 'include/is-resting', 'include/holds-workspace',
    'include/is-held', 'include/pass-on', 'include/places-of', 'include/release-workspace', 'include/reservation-of',
    'include/size-of', 'include/task-ids', 'include/retain', 'include/open-approvals', 'include/sees-approvals',
    'include/set-all', 'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval',
    'include/settle-approvals', 'include/expire-folders', 'include/is-fresh', 'include/hosts-of',
    'include/settle-session', 'include/begin-deadline', 'include/enter-session', 'include/is-over', 'include/is-orphan',
    'include/take-over', 'include/conclude', 'include/is-unheld', 'conclude-queued',
  ),
  ccConclude: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/exceed-memory',
    'events/include/last-seq', 'events/include/pack', 'events/include/write', 'events/include/write-next',
    'platform/include/now-ms', 'schedules/include/note-end', 'constant/MODELS_KEPT', 'constant/OTHER',
    'telemetry/include/count-end', 'history/include/history-kept-ms', 'history/include/remember',
    'history/include/learn', 'constant/DAY_MS', 'history/include/book-of', 'constant/MICRO', 'history/include/whole',
    'history/include/touch', 'history/include/book-spent', 'history/include/settle', 'history/include/settle-payments',
    'include/record', 'include/get', 'include/kind-of', 'include/ledger-day', 'include/reserved-of', 'include/account',
    'constant/TRANSITIONS', 'include/set', 'include/enter', 'include/approval-ids', 'include/approval',
    'include/expire', 'include/has-open-messages', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-keys', 'include/leave-turn', 'include/parked-on', 'include/leave-queue', 'include/leave-rest',
    'include/note-outbox', 'include/call-next', 'include/leave-work', 'include/pass-work', 'include/folders-above',
    'include/turn-clock', 'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/wake-next',
    'include/let-go', 'include/is-active', 'include/is-ended', 'include/is-resting', 'include/holds-workspace',
    'include/is-held', 'include/pass-on', 'include/places-of', 'include/release-workspace', 'include/reservation-of',
    'include/size-of', 'include/task-ids', 'include/retain', 'include/open-approvals', 'include/sees-approvals',
    'include/set-all', 'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval',
    'include/settle-approvals', 'include/expire-folders', 'include/is-fresh', 'include/hosts-of',
    'include/settle-session', 'include/begin-deadline', 'include/enter-session', 'include/is-over', 'include/is-orphan',
    'include/take-over', 'include/conclude', 'conclude',
  ),
  ccCountActive: join(
    'platform/include/root', 'platform/include/key', 'include/record', 'include/get', 'count-active',
  ),
  ccCreateList: join(
    'platform/include/root', 'platform/include/key', 'events/include/write-first', 'constant/DAY_MS',
    'platform/include/now-ms', 'history/include/book-of', 'history/include/whole', 'history/include/touch',
    'history/include/reserve', 'schedules/include/note-run', 'constant/SHOWN_MOMENTS', 'schedules/include/note-moments',
    'schedules/include/plan-next', 'schedules/include/settle-moments', 'schedules/include/stands-at',
    'tokens/include/is-made', 'tokens/include/is-withdrawn', 'include/count-queued', 'include/find-reserved',
    'include/folders-above', 'include/is-fresh', 'include/own-workspace', 'include/record', 'history/include/weigh',
    'include/kind-of', 'include/weigh-new', 'include/admit', 'include/keep-attachments', 'constant/PRIORITY_STEP',
    'include/band-of', 'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line',
    'include/get', 'include/enter-turn', 'include/enter-queue', 'include/is-in-order', 'include/limit-of',
    'include/position-of', 'include/queue-new', 'include/set', 'include/set-all', 'create-list',
  ),
  ccCreateMany: join(
    'platform/include/root', 'platform/include/key', 'events/include/write-first', 'platform/include/now-ms',
    'tokens/include/is-made', 'tokens/include/is-withdrawn', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/count-queued', 'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line',
    'include/find-reserved', 'include/is-in-order', 'include/limit-of', 'include/folders-above', 'include/is-fresh',
    'include/own-workspace', 'include/record', 'include/position-of', 'create-many',
  ),
  ccCreate: join(
    'platform/include/root', 'platform/include/key', 'events/include/write-first', 'constant/DAY_MS',
    'platform/include/now-ms', 'history/include/book-of', 'history/include/whole', 'history/include/touch',
    'history/include/reserve', 'schedules/include/note-run', 'constant/SHOWN_MOMENTS', 'schedules/include/note-moments',
    'schedules/include/plan-next', 'schedules/include/settle-moments', 'schedules/include/stands-at',
    'tokens/include/is-made', 'tokens/include/is-withdrawn', 'include/count-queued', 'include/find-reserved',
    'include/folders-above', 'include/is-fresh', 'include/own-workspace', 'include/record', 'history/include/weigh',
    'include/kind-of', 'include/weigh-new', 'include/admit', 'include/get', 'include/set', 'include/begin-deadline',
    'include/enter-session', 'constant/TRANSITIONS', 'include/is-ended', 'include/is-over', 'include/is-orphan',
    'include/latest-of', 'include/find-tail', 'include/find-session', 'include/hosts-of', 'include/need-folders',
    'include/wait-for', 'include/join-session', 'include/keep-attachments', 'include/limit-of',
    'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys', 'include/turn-clock', 'include/turn-keys',
    'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/is-in-order', 'include/position-of',
    'include/queue-new', 'create',
  ),
  ccDecideApproval: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/last-seq',
    'events/include/write', 'events/include/write-next', 'platform/include/exceed-memory', 'platform/include/now-ms',
    'include/approval', 'include/record', 'include/get', 'include/open-approvals', 'include/set',
    'include/set-open-approvals', 'include/remove-open-approval', 'include/close-approval', 'include/is-resting',
    'include/set-all', 'constant/TRANSITIONS', 'include/enter', 'include/leave-rest', 'constant/PRIORITY_STEP',
    'include/band-of', 'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line',
    'include/enter-turn', 'include/enter-queue', 'include/requeue-attempt', 'include/unpark-run', 'decide-approval',
  ),
  ccDelete: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'tokens/include/announce',
    'tokens/include/limit-owner', 'tokens/include/drop-token', 'tokens/include/drop-tokens-of', 'include/approval-ids',
    'include/approval', 'include/forget-approvals', 'tokens/include/is-made', 'tokens/include/is-gone',
    'include/forget-owner', 'include/expire-folders', 'include/record', 'include/get', 'include/is-fresh',
    'include/hosts-of', 'include/leave-session', 'include/release', 'include/task-ids', 'include/forget',
    'constant/TRANSITIONS', 'include/is-ended', 'include/reservation-of', 'delete',
  ),
  ccDisown: join(
    'platform/include/root', 'platform/include/key', 'include/folders-above', 'disown',
  ),
  ccDropMessages: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/now-ms',
    'events/include/owe-follow-up', 'events/include/mark-message', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'events/include/note-messages', 'platform/include/exceed-memory', 'include/record',
    'include/expire-messages', 'include/get', 'include/has-lease', 'include/is-active', 'constant/TRANSITIONS',
    'include/is-ended', 'include/is-resting', 'include/is-unheld', 'drop-messages',
  ),
  ccEnter: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/exceed-memory',
    'constant/TRANSITIONS', 'include/record', 'include/get', 'include/set', 'include/enter', 'enter',
  ),
  ccForgetOwner: join(
    'platform/include/root', 'platform/include/key', 'tokens/include/is-made', 'tokens/include/is-gone',
    'tokens/include/limit-owner', 'include/forget-owner', 'forget-owner',
  ),
  ccGoOn: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'platform/include/exceed-memory', 'include/record', 'include/get',
    'include/is-resting', 'constant/DAY_MS', 'history/include/book-of', 'history/include/whole',
    'history/include/touch', 'platform/include/now-ms', 'history/include/weigh', 'include/kind-of',
    'include/ledger-day', 'include/reserved-of', 'include/set', 'include/reserve-rest', 'include/set-all',
    'constant/TRANSITIONS', 'include/enter', 'include/leave-rest', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/enter-turn',
    'include/enter-queue', 'include/requeue-attempt', 'include/unpark-run', 'go-on',
  ),
  ccHoldApproval: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'include/approval', 'hold-approval',
  ),
  ccKeepFiles: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'keep-files',
  ),
  ccListAbandoned: join(
    'platform/include/now-ms', 'platform/include/root', 'platform/include/key', 'include/record', 'include/get',
    'list-abandoned',
  ),
  ccListActive: join(
    'platform/include/root', 'platform/include/key', 'include/record', 'list-active',
  ),
  ccListDue: join(
    'platform/include/root', 'constant/PRIORITY_STEP', 'include/band-of', 'platform/include/key', 'include/served-keys',
    'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/record', 'include/get',
    'include/enter-turn', 'include/limit-of', 'include/may-run', 'list-due',
  ),
  ccList: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'constant/PRIORITY_STEP',
    'include/band-of', 'include/record', 'include/get', 'include/turn-keys', 'include/is-alone', 'include/limit-of',
    'include/is-in-order', 'include/position-of', 'include/turn-of', 'list',
  ),
  ccOpenScheduled: join(
    'platform/include/root', 'platform/include/key', 'schedules/include/stands-at', 'include/record', 'include/get',
    'constant/TRANSITIONS', 'include/is-ended', 'include/is-over', 'open-scheduled',
  ),
  ccPositions: join(
    'constant/PRIORITY_STEP', 'include/band-of', 'platform/include/root', 'platform/include/key', 'include/limit-of',
    'include/turn-keys', 'include/is-in-order', 'include/record', 'include/position-of', 'include/turn-of', 'positions',
  ),
  ccReclaim: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'include/record', 'include/get',
    'reclaim',
  ),
  ccRenew: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/exceed-memory',
    'platform/include/now-ms', 'include/record', 'include/get', 'include/set', 'renew',
  ),
  ccRequestApproval: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'platform/include/now-ms',
    'include/record', 'include/get', 'include/open-approvals', 'include/set', 'include/set-open-approvals',
    'include/add-open-approval', 'include/approval', 'include/has-lease', 'include/note-outbox', 'request-approval',
  ),
  ccRequest: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'include/record', 'include/get',
    'include/is-active', 'include/set', 'request',
  ),
  ccRequeue: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/take-fence',
    'platform/include/exceed-memory', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/record', 'include/get',
    'include/enter-turn', 'include/enter-queue', 'constant/TRANSITIONS', 'include/set', 'include/enter',
    'platform/include/now-ms', 'include/has-lease', 'include/leave-work', 'requeue',
  ),
  ccRetain: join(
    'platform/include/root', 'platform/include/exceed-memory', 'platform/include/key', 'tokens/include/announce',
    'tokens/include/limit-owner', 'tokens/include/drop-token', 'tokens/include/drop-tokens-of', 'include/approval-ids',
    'include/approval', 'include/forget-approvals', 'tokens/include/is-made', 'tokens/include/is-gone',
    'include/forget-owner', 'include/expire-folders', 'include/record', 'include/get', 'include/is-fresh',
    'include/hosts-of', 'include/leave-session', 'include/release', 'include/task-ids', 'include/forget', 'retain',
  ),
  ccRetry: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/last-seq',
    'events/include/write', 'events/include/write-next', 'constant/TRANSITIONS', 'include/record', 'include/get',
    'include/set', 'include/enter', 'platform/include/now-ms', 'include/has-lease', 'include/approval',
    'include/keep-approval', 'include/leave-work', 'include/note-outbox', 'include/turn-keys', 'include/call-next',
    'include/pass-work', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys', 'include/turn-clock',
    'include/enter-line', 'include/enter-turn', 'include/enter-queue', 'include/requeue-attempt',
    'history/include/book-of', 'constant/MICRO', 'history/include/whole', 'history/include/touch',
    'history/include/book-spent', 'include/kind-of', 'constant/DAY_MS', 'include/ledger-day', 'include/reserved-of',
    'include/book-run', 'include/rest', 'include/set-all', 'include/open-approvals', 'include/set-open-approvals',
    'include/remove-open-approval', 'include/close-approval', 'include/settle-approvals', 'retry',
  ),
  ccSendMessage: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'events/include/note-messages', 'platform/include/now-ms',
    'events/include/owe-follow-up', 'platform/include/need-memory', 'tokens/include/is-made',
    'tokens/include/is-withdrawn', 'include/record', 'include/expire-messages', 'include/get', 'include/is-active',
    'constant/TRANSITIONS', 'include/is-ended', 'include/keep-attachments', 'include/store-message', 'send-message',
  ),
  ccSetBudget: join(
    'platform/include/root', 'platform/include/key', 'events/include/last-seq', 'events/include/write',
    'events/include/write-next', 'platform/include/exceed-memory', 'include/record', 'include/get', 'include/is-active',
    'constant/TRANSITIONS', 'include/is-ended', 'include/is-resting', 'constant/DAY_MS', 'history/include/book-of',
    'history/include/whole', 'history/include/touch', 'platform/include/now-ms', 'history/include/weigh',
    'include/kind-of', 'include/ledger-day', 'include/reserved-of', 'include/set', 'include/reserve-rest',
    'include/set-all', 'include/enter', 'include/leave-rest', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/enter-turn',
    'include/enter-queue', 'include/requeue-attempt', 'include/unpark-run', 'set-budget',
  ),
  ccStart: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/last-seq',
    'events/include/write', 'events/include/write-next', 'platform/include/now-ms', 'include/enter-session',
    'include/record', 'include/get', 'include/begin-session', 'constant/TRANSITIONS', 'include/set', 'include/enter',
    'include/has-lease', 'include/is-fresh', 'include/hosts-of', 'include/need-folders', 'include/note-outbox',
    'include/set-all', 'start',
  ),
  ccTakeOver: join(
    'platform/include/root', 'platform/include/key', 'include/record', 'include/get', 'platform/include/now-ms',
    'include/set', 'include/begin-deadline', 'constant/PRIORITY_STEP', 'include/band-of', 'include/served-keys',
    'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/enter-turn', 'include/enter-queue',
    'include/enter-session', 'constant/TRANSITIONS', 'include/is-ended', 'include/is-over', 'include/is-orphan',
    'include/take-over', 'take-over',
  ),
  ccTakePlaces: join(
    'platform/include/root', 'platform/include/key', 'events/include/holds-fence', 'events/include/take-fence',
    'constant/TRANSITIONS', 'include/record', 'include/get', 'include/set', 'include/enter', 'include/folders-above',
    'include/is-active', 'include/is-ended', 'include/is-resting', 'include/holds-workspace', 'include/is-held',
    'include/find-held', 'include/hold-folders', 'include/holder-of', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line', 'include/enter-turn',
    'include/enter-queue', 'include/wake-next', 'include/let-go', 'include/leave-turn', 'include/park',
    'include/call-next', 'include/leave-work', 'include/pass-work', 'include/places-of', 'take-places',
  ),
  ccTryLock: join(
    'platform/include/now-ms', 'platform/include/root', 'try-lock',
  ),
  ccUnpark: join(
    'platform/include/root', 'platform/include/key', 'include/folders-above', 'include/record', 'include/get',
    'include/is-active', 'constant/TRANSITIONS', 'include/is-ended', 'include/is-resting', 'include/holds-workspace',
    'include/is-held', 'include/find-held', 'include/holder-of', 'constant/PRIORITY_STEP', 'include/band-of',
    'include/served-keys', 'include/turn-keys', 'include/leave-turn', 'include/set', 'include/park',
    'include/parked-on', 'include/turn-clock', 'include/enter-line', 'include/enter-turn', 'include/enter-queue',
    'include/wake-next', 'unpark',
  ),
  ccWakeDue: join(
    'platform/include/now-ms', 'platform/include/root', 'constant/PRIORITY_STEP', 'include/band-of',
    'platform/include/key', 'include/served-keys', 'include/turn-clock', 'include/turn-keys', 'include/enter-line',
    'include/record', 'include/get', 'include/enter-turn', 'include/enter-queue', 'wake-due',
  ),
}
