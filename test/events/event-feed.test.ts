// Followers of logs on a real Redis.
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { type EventLog } from '../../src/events/event-log.js'
import { openEventFeed } from '../../src/events/event-feed.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { until } from '../support/deadlines.js'
import { delta, FINISHED, keysOf, numbers, seqsOf, textOf, openLogs } from './scene.js'

const { url, logger, redis, subscriber, log, feed, pong, openLog, write, collect, follow, subscribers, noSubscriber } =
  await openLogs(t)

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

/** What a worker does, without the message to those who follow. */
async function storeSilently(id: string, seq: number, event: NewEvent): Promise<void> {
  await redis.xadd(keysOf(id).events, `${seq}-0`, 'e', textOf(seq, event))
  await redis.hset(keysOf(id).log, 'lastSeq', String(seq))
}

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
