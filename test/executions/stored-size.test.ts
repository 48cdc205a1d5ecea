// What is kept of executions, and how much of it is read: the store by itself, on a real Redis.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Batch } from '../../src/events/event-log.js'
import { toExecution } from '../../src/executions/records/execution-record.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { mintUuid } from '../../src/platform/mint-uuid.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { DAY_MS } from '../../src/history/units.js'
import { NO_USAGE, type Outcome } from '../../src/protocol/execution.js'
import { openTestRedis } from '../support/redis.js'
import { startRecord } from '../support/start-record.js'

const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, log } = domain

let created = Date.now() - 60_000
async function submit(owner: string, more: Partial<NewRecord> = {}): Promise<string> {
  created += 1
  const id = mintUuid(created)
  const record: NewRecord = {
    id,
    owner,
    request: { prompt: 'x' },
    requestDigest: 'digest',
    priority: 'normal',
    createdAt: created,
    workspace: id,
    metadata: {},
    simulated: true,
    ...more,
  }
  t.match(await store.create(record, 1_000_000), { kind: 'created' })
  return id
}

/** Claims and starts it: its log has two events. */
async function start(id: string): Promise<string> {
  const claim = await store.claim(id, 1, 'worker', 60_000, 'default')
  if (claim.kind !== 'claimed' || claim.executionId !== id) throw new Error(claim.kind)
  await startRecord(store, id, claim.fence)
  return claim.fence
}

const end = (id: string, fence: string, outcome: Outcome = { status: 'succeeded' }, usage = NO_USAGE) =>
  store.conclude(id, fence, { outcome, usage, attempt: 1, finishedAt: new Date() })

/** Two events from there on, in one batch. */
const toBatch = (first: number, text: string): Batch => ({
  first,
  last: first + 1,
  bytes: Buffer.from(
    [first, first + 1].map((seq) => `{"seq":${seq},"type":"text.delta","data":{"text":"${text}"}}`).join('\n'),
  ),
})

/** What is read after each cursor: seqs, and the bytes of all. */
async function readAll(id: string, lastSeq: number): Promise<string[]> {
  const read: string[] = []
  for (let after = 0; after < lastSeq; after += 1) {
    const { chunks } = await log.readChunks(id, after, 1_000_000)
    read.push(chunks.map(({ bytes }) => bytes.toString()).join('\n'))
  }
  return read
}

void t.test('a log that has ended is one entry, and reads as before from every cursor', async (t) => {
  const id = await submit('logs')
  const fence = await start(id)
  for (const first of [3, 5, 7]) await log.append(id, fence, toBatch(first, 'é'.repeat(100)))
  const key = `{cc}:events:${id}`
  t.equal(await domain.redis.xlen(key), 5)
  const before = (await readAll(id, 8)).map((text) => text.split('\n'))
  t.match(await end(id, fence), { kind: 'concluded' })
  const [entry] = await domain.redis.xrange(key, '-', '+')
  t.equal(await domain.redis.xlen(key), 1)
  t.equal(entry?.[0], '9-0', 'by its last seq')
  const after = (await readAll(id, 9)).map((text) => text.split('\n'))
  t.same(
    after.slice(0, -1).map((lines) => lines.slice(0, -1)),
    before,
  )
  t.same(
    after.map((lines) => lines.length),
    [9, 8, 7, 6, 5, 4, 3, 2, 1],
  )
  t.match((await log.readLast(id)).chunks, [{ last: 9, isTerminal: true }])
  t.match((await log.readChunks(id, 3, 1_000_000, 2)).chunks, [{ first: 4, last: 5 }], 'a page is cut out of it')
  t.ok((await domain.redis.pttl(key)) > 0, 'it goes with its record')
  t.notOk(await domain.redis.exists('{cc}:events-draft'))
})

void t.test('a long log stays as it was written', async (t) => {
  const id = await submit('logs')
  const fence = await start(id)
  for (const first of [3, 5, 7]) await log.append(id, fence, toBatch(first, 'x'.repeat(6_000)))
  await end(id, fence)
  t.equal(await domain.redis.xlen(`{cc}:events:${id}`), 6)
})

void t.test('a list shows of each what a look does, but for its bulk', async (t) => {
  const long = { prompt: 'y'.repeat(3_000), model: 'haiku', files: [{ path: 'a', content: 'z'.repeat(2_000) }] }
  const finished = await submit('lists', { metadata: { team: 'docs' }, wantedBudget: { tokens: { run: 100 } } })
  await end(finished, await start(finished), { status: 'succeeded', result: 'the answer' })
  const failed = await submit('lists', { timeoutEstimate: { timeoutSeconds: 9, basis: 'none' } as never })
  await end(failed, await start(failed), { status: 'failed', code: 'TIMED_OUT', message: 'late' })
  const running = await submit('lists', { request: long })
  await start(running)
  const waiting = [await submit('lists', { request: long }), await submit('lists', { priority: 'low' })]
  // It is their turn first.
  await submit('others')
  const gone = mintUuid(created + 1)
  await domain.redis.zadd('{cc}:index:lists', 0, gone)
  const ids = [gone, ...[finished, failed, running, ...waiting].toReversed()]

  const listed = await store.list('lists', { count: 100 })
  t.same(
    listed.map(({ id }) => id),
    ids,
    'newest first',
  )
  t.equal(listed[0]?.record, undefined, 'one that has just gone')
  const records = await store.getMany(ids)
  t.same(
    listed.slice(1).map(({ record }) => record && toExecution(record)),
    records.map(toExecution),
  )
  t.match(records[1], { request: { prompt: /^y{200}…$/, files: [{ path: 'a', content: '' }] }, position: 2 })
  const page = await store.list('lists', { count: 2, before: running, notBefore: finished })
  t.same(
    page.map(({ id }) => id),
    [failed, finished],
  )
  await domain.redis.zrem('{cc}:index:lists', gone)
})

void t.test('without a budget an execution counts on the day of its creation', async (t) => {
  const { ledger } = domain
  const id = await submit('days', { createdAt: Date.now() - 2 * DAY_MS, simulated: false })
  const today = await ledger.today()
  const claim = await store.claim(id, 1, 'worker', 60_000, 'default')
  if (claim.kind !== 'claimed') throw new Error(claim.kind)
  await startRecord(store, id, claim.fence, { simulated: false })
  await end(id, claim.fence, undefined, { ...NO_USAGE, costUsd: 1.5 })
  const rows = await ledger.read(today - 5, today + 5, false)
  const days = new Set(rows.map(({ day }) => day))
  t.equal(rows.length, 1)
  t.equal(days.size, 1)
  t.match(rows, [{ token: 'days', sums: { executions: 1, costUsd: 1.5 } }])
  t.equal((await ledger.book(today - 2, 'days', false)).usd.spent, 1.5)
  t.equal(await domain.redis.hget(`{cc}:execution:${id}`, 'ledgerDay'), null, 'nothing more is stored for that')
})

void t.test('half of a character in an argument of a script is none', async (t) => {
  const id = randomUUID()
  await submit('texts', { id, metadata: { half: `a\ud83d"b` }, requestDigest: 'a\udc00' })
  t.match(await store.get(id), { id, state: 'queued' })
})
