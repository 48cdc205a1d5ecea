// The log and its writer on a real Redis. Keys are touched by hand only to play what a Redis does that lost something.
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { type EventLog } from '../../src/events/event-log.js'
import { eventsOf } from '../../src/events/chunk.js'
import { splitBatch } from '../../src/events/stored-event.js'
import { readPageAfter } from '../../src/executions/read/read-events.js'
import type { Event, NewEvent } from '../../src/protocol/events.js'
import { delta, FINISHED, keysOf, numbers, seqsOf, textOf, openLogs } from './scene.js'

const { redis, log, pong, openLog, write, readAll, collect, follow, noSubscriber } = await openLogs(t)

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
