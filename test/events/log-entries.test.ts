// A log is read by a script or by commands, as its entries are small or large: the pages are the same.
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { eventsOf } from '../../src/events/chunk.js'
import { createEventLog } from '../../src/events/event-log.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { openTestRedis } from '../support/redis.js'

const PREFIX = 'entries-test'
const { url } = await openTestRedis(t)
const redis = openRedis({ url, logger: createLogger('silent', 'test'), role: 'caller' })
const log = createEventLog(redis, PREFIX)
t.teardown(() => closeRedis(redis))

const keysOf = (id: string) => ({ events: `{${PREFIX}}:events:${id}`, log: `{${PREFIX}}:log:${id}` })

/** An entry of so many events, each of so many bytes, as an append leaves it. */
async function append(id: string, first: number, count: number, size: number, text = 'x'): Promise<string[]> {
  const lines = Array.from(
    { length: count },
    (_, at) => `{"seq":${first + at},"type":"text.delta","data":"${text.repeat(size)}"}`,
  )
  const bytes = lines.join('\n')
  await redis.xadd(keysOf(id).events, `${first + count - 1}-0`, 'e', bytes)
  await redis.hset(keysOf(id).log, 'lastSeq', first + count - 1)
  await redis.hincrby(keysOf(id).log, 'bytes', bytes.length)
  return lines
}

async function writeLog(entries: ReadonlyArray<readonly [count: number, size: number]>) {
  const id = uuidv7()
  const lines: string[] = []
  for (const [count, size] of entries) lines.push(...(await append(id, lines.length + 1, count, size)))
  return { id, lines }
}

async function scriptCalls(): Promise<number> {
  const stats = await redis.info('commandstats')
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

const read = async (id: string, after: number, maxBytes: number, limit?: number) => {
  const { chunks, lastSeq } = await log.readChunks(id, after, maxBytes, limit)
  const lines = chunks.flatMap(eventsOf).map(({ bytes }) => bytes.toString())
  return { lines, lastSeq, last: chunks.at(-1)?.last, bytes: lines.join('\n').length }
}

void t.test('large entries, a giant one and small ones between and behind them', async (t) => {
  const large: Array<readonly [number, number]> = [
    [6, 10_000],
    [7, 9_000],
    [1, 300_000],
    [1, 10],
    [2, 10],
    [5, 12_000],
    [1, 10],
    [1, 10],
    [1, 10],
  ]
  const { id, lines } = await writeLog(large)
  await read(id, 0, 1)
  for (const limit of [1, 2, 6, 9, 100])
    for (let after = 0; after <= lines.length; after += 1) {
      const page = await read(id, after, 1_000_000, limit)
      t.equal(page.lines.join('\n'), lines.slice(after, after + limit).join('\n'), `${limit} after ${after}`)
      t.equal(page.lastSeq, lines.length)
    }
  for (const maxBytes of [1, 100_000, 1_000_000])
    for (let after = 0, page; after < lines.length; after += page.lines.length) {
      page = await read(id, after, maxBytes)
      t.equal(page.lines.join('\n'), lines.slice(after, after + page.lines.length).join('\n'))
      if (page.lines.length === 0) throw new Error(`no event after ${after} of ${maxBytes} bytes`)
    }
})

void t.test(
  'once their size is known no script reads large entries, and a page takes what the last has left',
  async (t) => {
    const { id, lines } = await writeLog(Array.from({ length: 8 }, () => [20, 3_000] as const))
    await read(id, 0, 1)
    const before = await scriptCalls()
    await redis.config('RESETSTAT')
    for (let after = 0; after < lines.length; after += 5) await read(id, after, 1_000_000, 5)
    t.equal(await scriptCalls(), 0, `${before} before`)
    const entries = /cmdstat_xrange:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]
    t.equal(Number(entries), 8, 'each entry once for its four pages')
    // The whole of it by one command, as far as it fits.
    t.equal((await read(id, 0, 256 * 1024)).lines.length, 80)
  },
)

void t.test('small entries go on being read in dozens', async (t) => {
  const { id, lines } = await writeLog(Array.from({ length: 100 }, () => [1, 100] as const))
  await read(id, 0, 1)
  t.same((await read(id, 0, 1_000_000)).lines, lines)
})

void t.test('what a page has left is not told of a log that lost it', async (t) => {
  const { id, lines } = await writeLog([
    [4, 20_000],
    [4, 20_000],
  ])
  await read(id, 0, 1)
  t.equal((await read(id, 4, 1_000_000, 2)).last, 6)
  // As a Redis that comes back without its last moments.
  await redis.xdel(keysOf(id).events, '8-0')
  await redis.hset(keysOf(id).log, 'lastSeq', 4)
  t.same(await read(id, 6, 1_000_000, 2), { lines: [], lastSeq: 4, last: undefined, bytes: 0 })
  t.same((await read(id, 2, 1_000_000, 9)).lines, lines.slice(2, 4))
  // What its writer sends again may be cut otherwise, and a connection was lost meanwhile.
  await read(id, 2, 1_000_000, 1)
  await redis.del(keysOf(id).events)
  const again = await append(id, 1, 4, 20_000, 'y')
  redis.disconnect(true)
  await new Promise((resolve) => redis.once('ready', resolve))
  t.same((await read(id, 3, 1_000_000, 1)).lines, again.slice(3, 4))
})

void t.test('a log that was deleted has no page', async (t) => {
  const { id } = await writeLog([[4, 20_000]])
  await read(id, 0, 1)
  await read(id, 0, 1_000_000, 2)
  await redis.del(keysOf(id).events, keysOf(id).log)
  t.equal((await read(id, 0, 1_000_000)).lastSeq, -1)
  t.same(await read(id, 2, 1_000_000, 2), { lines: [], lastSeq: -1, last: undefined, bytes: 0 })
})
