// The log's writer, the log and the feed on a real Redis. Keys are touched by hand only to play what a Redis does that
// lost something.
import t, { type Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { createEventLog, type EventLog } from '../../src/events/event-log.js'
import { eventsOf } from '../../src/events/chunk.js'
import { openEventFeed } from '../../src/events/event-feed.js'
import { LogWriter } from '../../src/events/log-writer.js'
import { serializeWithoutSeq, splitBatch, type StoredEvent } from '../../src/events/stored-event.js'
import { readPageAfter } from '../../src/executions/read/read-events.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import type { Event, NewEvent } from '../../src/protocol/events.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { openTestRedis } from '../support/redis.js'
import { repeat, until } from '../support/deadlines.js'

const PREFIX = 'log-test'
const logger = createLogger('silent', 'test')
const { url } = await openTestRedis(t)
const redis = openRedis({ url, logger, role: 'keeper' })
const subscriber = openRedis({ url, logger, role: 'subscriber' })
const log = createEventLog(redis, PREFIX)
const feed = openEventFeed({ log, subscriber, logger })
t.teardown(() => {
  feed.close()
  for (const connection of [subscriber, redis]) closeRedis(connection)
})

const delta = (text: string): NewEvent => ({ type: 'text.delta', data: { message: 0, text } })
const FINISHED: NewEvent = {
  type: 'execution.finished',
  data: { outcome: { status: 'succeeded', result: '' }, usage: NO_USAGE },
}
const keysOf = (id: string) => ({ events: `{${PREFIX}}:events:${id}`, log: `{${PREFIX}}:log:${id}` })
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
const seqsOf = (events: readonly StoredEvent[]): number[] => events.map(({ seq }) => seq)
/** Lets everything that is ready run, Redis' answers included, without waiting for a time. */
const pong = async (): Promise<void> => void (await redis.ping())

const textOf = (seq: number, event: NewEvent): string => `{"seq":${seq},${serializeWithoutSeq(event, new Date(), 1)}`

/** A log whose fence is held, as a claim leaves it. */
async function openLog(fence = '1'): Promise<string> {
  const id = uuidv7()
  await redis.hset(keysOf(id).log, 'fence', fence, 'lastSeq', '0')
  return id
}

function write(
  id: string,
  {
    fence = '1',
    lastSeq = 0,
    through = log,
    written,
  }: { fence?: string; lastSeq?: number; through?: EventLog; written?: { add(bytes: Buffer): void } } = {},
) {
  let stale = 0
  const writer = new LogWriter({
    log: through,
    executionId: id,
    fence,
    attempt: 1,
    lastSeq,
    onStale: () => (stale += 1),
    written,
  })
  return { writer, staleCalls: () => stale }
}

async function readAll(id: string): Promise<StoredEvent[]> {
  const all: StoredEvent[] = []
  return repeat(async () => {
    const { events } = await log.readAfter(id, all.at(-1)?.seq ?? 0, 64 * 1024)
    all.push(...events)
    return events.length === 0 ? all : undefined
  }, 'all is read')
}

async function collect(id: string, after = 0, signal = new AbortController().signal): Promise<number[]> {
  const seqs: number[] = []
  for await (const events of feed.follow(id, after, signal)) seqs.push(...seqsOf(events))
  return seqs
}

/** A follower that can be asked when it has seen a seq. */
function follow(id: string, after = 0) {
  const seqs: number[] = []
  const stop = new AbortController()
  let wake = (): void => undefined
  const ended = (async () => {
    for await (const events of feed.follow(id, after, stop.signal)) {
      seqs.push(...seqsOf(events))
      wake()
    }
  })()
  ended.catch(() => wake())
  return {
    seqs,
    ended,
    stop: () => stop.abort(),
    async until(seq: number): Promise<void> {
      await repeat(async () => {
        if ((seqs.at(-1) ?? 0) >= seq) return true
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), ended])
        return undefined
      }, `seq ${seq} comes`)
    },
  }
}

async function subscribers(id: string): Promise<number> {
  const [, count] = await redis.pubsub('NUMSUB', log.channelOf(id))
  return Number(count)
}

async function noSubscriber(t: Test, id: string): Promise<void> {
  // The unsubscription is sent at once, on the other connection: a few round trips are more than enough.
  for (let tries = 0; tries < 1_000 && (await subscribers(id)) > 0; tries += 1) await pong()
  t.same(await redis.pubsub('CHANNELS', `*${id}*`), [], 'nobody is subscribed any more')
}

void t.test(
  'a thousand events in many small writes are stored in order, in far fewer appends, and come out byte by byte',
  async (t) => {
    const id = await openLog()
    const { writer } = write(id)
    for (let index = 1; index <= 1_000; index += 1) {
      writer.write(delta(`${index} – é 🙂 \u2028 "`))
      if (index % 7 === 0) await Promise.resolve()
      if (index % 250 === 0) await pong()
    }
    await writer.flushed()
    const events = await readAll(id)
    t.same(seqsOf(events), numbers(1, 1_000))
    const texts = events.map(({ bytes }) => (JSON.parse(bytes.toString()) as Event<'text.delta'>).data.text)
    t.same(
      texts,
      numbers(1, 1_000).map((index) => `${index} – é 🙂 \u2028 "`),
    )
    t.ok((await redis.xlen(keysOf(id).events)) < 200, 'they travelled in batches')
    t.equal(writer.pendingBytes, 0)
  },
)

void t.test('no character in a stored event ends a line for a reader of another stack', (t) => {
  const text = 'a\u2028b\u2029c\u0085d \\u2028'
  const written = (event: NewEvent) => textOf(1, event)
  const rawMessage = `{"type":"user","text":${JSON.stringify(text)}}`
  for (const line of [written(delta(text)), written({ type: 'claude.message', rawMessage })])
    t.notMatch(line, /[\u0085\u2028\u2029]/)
  t.match(JSON.parse(written(delta(text))), { data: { text } })
  t.match(JSON.parse(written({ type: 'claude.message', rawMessage })), { data: { message: { text } } }, 'equal as JSON')
  t.end()
})

void t.test(
  'a batch that is sent again after a lost answer is stored once, and another text in its place is refused',
  async (t) => {
    const id = await openLog()
    const bytes = Buffer.from([1, 2].map((seq) => textOf(seq, delta('x'))).join('\n'))
    t.same(await log.append(id, '1', { first: 1, last: 2, bytes }), { kind: 'ok' })
    t.same(await log.append(id, '1', { first: 1, last: 2, bytes }), { kind: 'ok' })
    t.same(await log.append(id, '1', { first: 1, last: 2, bytes: Buffer.from(bytes.toString().replace('x', 'y')) }), {
      kind: 'gap',
      lastSeq: 2,
    })
    t.same(await log.append(id, '1', { first: 4, last: 4, bytes }), { kind: 'gap', lastSeq: 2 })
    t.same(seqsOf(await readAll(id)), [1, 2])
  },
)

void t.test('an answer that is lost makes the writer ask again, without doubling and without a hole', async (t) => {
  const id = await openLog()
  let appends = 0
  const flaky: EventLog = {
    ...log,
    async append(...args) {
      const answer = await log.append(...args)
      if ((appends += 1) % 2 === 1) throw new Error('the connection broke after the append')
      return answer
    },
  }
  const { writer, staleCalls } = write(id, { through: flaky })
  for (let index = 0; index < 5; index += 1) {
    writer.write(delta('a'))
    await pong()
  }
  await writer.flushed()
  t.same(seqsOf(await readAll(id)), numbers(1, 5))
  t.equal(staleCalls(), 0)
})

void t.test(
  'a Redis that came back without its last moments gets them again; who followed sees nothing twice',
  async (t) => {
    const id = await openLog()
    const keys = keysOf(id)
    const { writer, staleCalls } = write(id)
    const reader = follow(id)
    for (let index = 1; index <= 10; index += 1) {
      writer.write(delta(`${index}`))
      await writer.flushed()
    }
    await reader.until(10)
    // As an append-only file without its last second: the log ends at 4 and knows nothing of what came after.
    const kept = (await redis.xrange(keys.events, '-', '+')).slice(0, 4)
    await redis.del(keys.events)
    for (const [entry, fields] of kept) await redis.xadd(keys.events, entry, ...fields)
    await redis.hset(keys.log, 'lastSeq', '4')
    await redis.hdel(keys.log, 'lastBatch')

    writer.write(delta('11'))
    writer.write(FINISHED)
    await writer.flushed()
    await reader.ended
    t.equal(staleCalls(), 0)
    t.same(seqsOf(await readAll(id)), numbers(1, 12), 'the log is whole again')
    t.same(reader.seqs, numbers(1, 12), 'and was followed without a repetition')
  },
)

void t.test(
  'a log that came back shorter and was concluded there ends those who had seen more',
  { timeout: 600_000 },
  async (t) => {
    const id = await openLog()
    const keys = keysOf(id)
    const { writer } = write(id)
    const readers = [follow(id), follow(id)]
    for (let index = 1; index <= 10; index += 1) {
      writer.write(delta(`${index}`))
      await writer.flushed()
    }
    await Promise.all(readers.map((reader) => reader.until(10)))
    // Redis has lost its last moments, and the writer died with it: somebody else concludes.
    const kept = (await redis.xrange(keys.events, '-', '+')).slice(0, 4)
    await redis.del(keys.events)
    for (const [entry, fields] of kept) await redis.xadd(keys.events, entry, ...fields)
    await redis.hset(keys.log, 'lastSeq', '4', 'fence', '2')
    const heir = write(id, { fence: '2', lastSeq: 4 })
    heir.writer.write(FINISHED)
    await heir.writer.flushed()
    await Promise.all(readers.map((reader) => reader.ended))
    t.same(
      readers.map(({ seqs }) => seqs),
      [numbers(1, 10), numbers(1, 10)],
    )
    t.same(await collect(id, 0), numbers(1, 5), 'whoever comes now sees what is true')
    await noSubscriber(t, id)
  },
)

void t.test('a log that came back in the midst of a batch gets the rest of it, byte by byte', async (t) => {
  const id = await openLog()
  const keys = keysOf(id)
  const seen: string[] = []
  const { writer, staleCalls } = write(id, { written: { add: (bytes) => seen.push(bytes.toString()) } })
  const message = (text: string): NewEvent => {
    const rawMessage = JSON.stringify({ type: 'new', text })
    return { type: 'claude.message', rawMessage, bytes: Buffer.from(rawMessage) }
  }
  for (let index = 1; index <= 9; index += 1) writer.write(index % 2 === 0 ? message('m'.repeat(9_000)) : delta('ü'))
  await writer.flushed()
  const [entry, [, lines = '']] = (await redis.xrange(keys.events, '-', '+'))[0] ?? ['', ['', '']]
  t.equal(entry, '9-0', 'they were written as one')
  await redis.del(keys.events)
  await redis.xadd(keys.events, '4-0', 'e', lines.split('\n').slice(0, 4).join('\n'))
  await redis.hset(keys.log, 'lastSeq', '4')
  writer.write(message('and on'))
  await writer.flushed()
  t.equal(staleCalls(), 0)
  t.equal(writer.pendingBytes, 0)
  t.same(
    (await readAll(id)).map(({ bytes }) => bytes.toString()),
    seen,
  )
  t.equal(seen.length, 10)
})

void t.test('a log that lacks more than the writer still has makes it give up instead of leaving a hole', async (t) => {
  const id = await openLog()
  const { writer, staleCalls } = write(id, { lastSeq: 5 })
  writer.write(delta('6'))
  await writer.flushed()
  t.equal(staleCalls(), 1)
  t.ok(writer.isStale)
  t.same(await readAll(id), [])
})

void t.test(
  'a writer whose fence was taken cannot write another line, is told so once, and its waiters are let go',
  async (t) => {
    const id = await openLog()
    const { writer, staleCalls } = write(id)
    writer.write(delta('mine'))
    await writer.flushed()
    await redis.hset(keysOf(id).log, 'fence', '2')
    for (let index = 0; index < 3; index += 1) writer.write(delta('x'.repeat(40_000)))
    await writer.flushed()
    await writer.drained()
    writer.write(delta('afterwards'))
    await writer.flushed()
    t.ok(writer.isStale)
    t.equal(staleCalls(), 1)
    t.equal(writer.pendingBytes, 0)
    t.same(seqsOf(await readAll(id)), [1])
    const heir = write(id, { fence: '2', lastSeq: 1 })
    heir.writer.write(delta('the heir goes on'))
    await heir.writer.flushed()
    t.same(seqsOf(await readAll(id)), [1, 2])
  },
)

void t.test('a writer says that it is full, and has room again when Redis has taken what it had', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  while (!writer.isFull) writer.write(delta('x'.repeat(50_000)))
  await writer.drained()
  t.notOk(writer.isFull)
  await writer.flushed()
  t.equal(writer.pendingBytes, 0)
})

void t.test('following from every cursor gives the same sequence, before, during and after the writing', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  const count = 60
  const before = numbers(0, count).map((after) => collect(id, after))
  for (let index = 1; index < count; index += 1) {
    writer.write(delta('x'.repeat(index * 10)))
    if (index % 3 === 0) await pong()
    if (index === 30) await writer.flushed()
  }
  const during = numbers(0, count).map((after) => collect(id, after))
  writer.write(FINISHED)
  await writer.flushed()
  const wanted = numbers(0, count).map((after) => numbers(after + 1, count))
  t.same(await Promise.all(before), wanted)
  t.same(await Promise.all(during), wanted)
  t.same(await Promise.all(numbers(0, count).map((after) => collect(id, after))), wanted)
  t.same(await collect(id, count + 40), [], 'a cursor behind the end of a finished log ends at once')
  await noSubscriber(t, id)
})

void t.test(
  'a follower that falls behind what is kept in memory reads the log by itself and misses nothing',
  async (t) => {
    const id = await openLog()
    const { writer } = write(id)
    writer.write(delta('first'))
    await writer.flushed()
    const seqs: number[] = []
    for await (const events of feed.follow(id, 0, new AbortController().signal)) {
      seqs.push(...seqsOf(events))
      if (seqs.length > 1) continue
      for (let index = 0; index < 80; index += 1) {
        writer.write(delta('x'.repeat(40_000)))
        await writer.flushed()
      }
      writer.write(FINISHED)
      await writer.flushed()
    }
    t.same(seqs, numbers(1, 82))
  },
)

void t.test('a page of the log holds at least one event, however large, and then no more than asked for', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  for (const size of [200_000, 10, 10]) {
    writer.write(delta('x'.repeat(size)))
    await writer.flushed()
  }
  t.same(seqsOf((await log.readAfter(id, 0, 1)).events), [1])
  t.same(seqsOf((await log.readAfter(id, 1, 100_000)).events), [2, 3])
  t.same(await log.readAfter(uuidv7(), 0, 1), { lastSeq: -1, events: [] })
})

void t.test('with a limit a page is cut out of entries, wherever it begins and ends in them', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  // Three entries of several events each, and what is written alone between them.
  for (const count of [1, 7, 1, 5, 9]) {
    for (let index = 0; index < count; index += 1) writer.write(delta('x'.repeat(index)))
    await writer.flushed()
  }
  const { lastSeq, events: all } = await log.readAfter(id, 0, 1_000_000)
  for (let after = 0; after <= lastSeq; after += 1)
    for (const limit of [1, 2, 6, 100]) {
      const { chunks } = await log.readChunks(id, after, 1_000_000, limit)
      const found = chunks.flatMap(eventsOf).map(({ bytes }) => bytes.toString())
      const wanted = all.slice(after, after + limit).map(({ bytes }) => bytes.toString())
      if (found.join('\n') !== wanted.join('\n')) t.same(found, wanted, `${limit} after ${after}`)
      const last = chunks.at(-1)
      if (last && last.last !== after + wanted.length) t.fail(`${last.last} is not the last of ${limit} after ${after}`)
    }
  t.equal(lastSeq, 23)
})

/** What a worker does, without the message to those who follow. */
async function storeSilently(id: string, seq: number, event: NewEvent): Promise<void> {
  await redis.xadd(keysOf(id).events, `${seq}-0`, 'e', textOf(seq, event))
  await redis.hset(keysOf(id).log, 'lastSeq', String(seq))
}

void t.test('a page that found nothing does not say finished for an end that came while it was read', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  writer.write(delta('so far'))
  await writer.flushed()
  const overtaken: EventLog = {
    ...log,
    readLast: async (executionId) => {
      writer.write(FINISHED)
      await writer.flushed()
      return log.readLast(executionId)
    },
  }
  t.same(await readPageAfter(overtaken, id, { limit: 10 }, 1), {
    lines: [],
    nextAfter: 1,
    hasMore: false,
    finished: false,
  })
  const last = await readPageAfter(log, id, { limit: 10 }, 1)
  t.match([last.lines.flatMap(splitBatch).map(({ seq }) => seq), last.finished], [[2], true])
  t.match(await readPageAfter(log, id, { limit: 10 }, 2), { lines: [], nextAfter: 2, finished: true })
})

void t.test(
  'a published message that was lost is made good by the next one, and at the end by the log itself',
  async (t) => {
    const id = await openLog()
    const { writer } = write(id)
    writer.write(delta('1'))
    await writer.flushed()
    const reader = follow(id)
    await reader.until(1)
    await storeSilently(id, 2, delta('2'))
    const third = textOf(3, delta('3'))
    await log.append(id, '1', { first: 3, last: 3, bytes: Buffer.from(third) })
    await reader.until(3)
    await storeSilently(id, 4, FINISHED)
    await reader.ended
    t.same(reader.seqs, [1, 2, 3, 4])
  },
)

void t.test('of many that are followed and say nothing, one question asks whether a message was lost', async (t) => {
  const ids = await Promise.all(Array.from({ length: 20 }, () => openLog()))
  const read: string[] = []
  const asked: number[] = []
  const counting: EventLog = {
    ...log,
    readChunks: (id, ...args) => {
      read.push(id)
      return log.readChunks(id, ...args)
    },
    readEnds: (all) => {
      asked.push(all.length)
      return log.readEnds(all)
    },
  }
  const own = openEventFeed({ log: counting, subscriber, logger })
  t.teardown(() => own.close())
  const readers = ids.map((id) => own.read(id, 0, { wake: () => undefined }))
  await until(() => asked.length >= 1, 'it was asked once')
  const before = read.length
  await until(() => asked.length >= 3, 'and twice more')
  t.same(asked.slice(1), [20, 20])
  t.equal(read.length, before, 'no log was read for it')
  const [lost = ''] = ids
  await storeSilently(lost, 1, delta('1'))
  await until(() => readers[0]?.take()?.last === 1, 'what was lost is there')
  t.same(new Set(read.slice(before)), new Set([lost]), 'the one log that ends elsewhere was read')
  for (const reader of readers) reader.close()
  await noSubscriber(t, lost)
})

void t.test('an event that is kept holds no more memory than its own', async (t) => {
  const [quiet, loud] = [await openLog(), await openLog()]
  const stop = new AbortController()
  const [source, other] = [quiet, loud].map((id) => feed.follow(id, 0, stop.signal))
  if (!source || !other) return
  const [first, noise] = [source.next(), other.next()]
  await until(async () => (await subscribers(quiet)) + (await subscribers(loud)) === 2, 'both are subscribed')
  // Both reach the subscriber in one piece.
  const lines = textOf(1, delta('quiet'))
  await redis
    .multi()
    .publish(log.channelOf(loud), textOf(1, delta('x'.repeat(50_000))))
    .publish(log.channelOf(quiet), lines)
    .exec()
  const { value } = await first
  await noise
  t.equal(value?.[0]?.bytes.toString(), lines)
  t.ok(
    (value?.[0]?.bytes.buffer.byteLength ?? Infinity) < 16_384,
    'and not the piece of the connection in which it came',
  )
  stop.abort()
  await Promise.all([source.return(), other.return()])
})

void t.test('a subscription that broke is taken up again, and what was published meanwhile is there', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  const reader = follow(id)
  writer.write(delta('1'))
  await reader.until(1)
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  writer.write(delta('2'))
  writer.write(FINISHED)
  await reader.ended
  t.same(reader.seqs, [1, 2, 3])
})

void t.test(
  'a log that is deleted ends those who follow it with EXECUTION_NOT_FOUND, as one that never was',
  async (t) => {
    const id = await openLog()
    const { writer } = write(id)
    writer.write(delta('1'))
    await writer.flushed()
    const reader = follow(id)
    await reader.until(1)
    await redis.del(keysOf(id).events, keysOf(id).log)
    await t.rejects(reader.ended, { code: 'EXECUTION_NOT_FOUND' })
    await noSubscriber(t, id)
    const unknown = uuidv7()
    await t.rejects(collect(unknown), { code: 'EXECUTION_NOT_FOUND' })
    await noSubscriber(t, unknown)
  },
)

void t.test(
  'an abort ends a follower and leaves the other one alone; with the last one the subscription goes',
  async (t) => {
    const id = await openLog()
    const { writer } = write(id)
    writer.write(delta('1'))
    await writer.flushed()
    const [first, second] = [follow(id), follow(id)]
    await Promise.all([first.until(1), second.until(1)])
    t.equal(await subscribers(id), 1, 'one channel, however many follow')
    first.stop()
    await first.ended
    writer.write(delta('2'))
    await second.until(2)
    t.same([first.seqs, second.seqs], [[1], [1, 2]])
    second.stop()
    await second.ended
    await noSubscriber(t, id)
    t.same(await collect(id, 0, AbortSignal.abort()), [], 'aborted before it began')
    await noSubscriber(t, id)
  },
)

void t.test('a consumer that leaves in the middle leaves no subscription either', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  writer.write(delta('1'))
  await writer.flushed()
  for await (const events of feed.follow(id, 0, new AbortController().signal)) {
    t.same(seqsOf(events), [1])
    break
  }
  await noSubscriber(t, id)
})

void t.test('a follower that cannot begin says so and leaves no subscription; the next one begins anew', async (t) => {
  const id = await openLog()
  const { writer } = write(id)
  writer.write(FINISHED)
  await writer.flushed()
  let failures = 1
  const broken: EventLog = {
    ...log,
    readLast: (executionId) =>
      failures-- > 0 ? Promise.reject(new Error('Redis is away')) : log.readLast(executionId),
  }
  const own = openEventFeed({ log: broken, subscriber, logger })
  const begin = () => own.follow(id, 0, new AbortController().signal).next()
  await t.rejects(begin(), /Redis is away/)
  await noSubscriber(t, id)
  t.match(await begin(), { done: false, value: [{ seq: 1 }] })
  own.close()
})

void t.test('a feed that is closed ends everybody', async (t) => {
  const connection = openRedis({ url, logger, role: 'subscriber' })
  const own = openEventFeed({ log, subscriber: connection, logger })
  const id = await openLog()
  const { writer } = write(id)
  writer.write(delta('1'))
  await writer.flushed()
  const seqs: number[] = []
  for await (const events of own.follow(id, 0, new AbortController().signal)) {
    seqs.push(...seqsOf(events))
    own.close()
  }
  t.same(seqs, [1])
  closeRedis(connection)
})
