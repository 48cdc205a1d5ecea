// What is kept of executions, and how much of it is read: the store by itself, on a real Redis.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Batch } from '../../src/events/event-log.js'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { readLog } from '../../src/executions/conclude/log-reading.js'
import { toExecution } from '../../src/executions/records/execution-record.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { mintUuid } from '../../src/platform/mint-uuid.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { DAY_MS } from '../../src/history/units.js'
import { NO_USAGE, type Outcome } from '../../src/protocol/execution.js'
import { Receipt } from '../../src/protocol/receipt.js'
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
    requestDigest: 'd'.repeat(64),
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

/** As a worker ends it: with its receipt, which vouches for the log. */
const seal = (id: string, fence: string): Promise<unknown> =>
  concludeExecution(domain, id, { kind: 'holder', fence }, { outcome: { status: 'succeeded' }, attempt: 1 })

const receiptOf = async (id: string): Promise<Receipt> =>
  Receipt.parse(JSON.parse((await store.getReceipt(id)) ?? 'null'))

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

void t.test('a log that has ended is one entry, packed, and reads as before from every cursor', async (t) => {
  const id = await submit('logs')
  const fence = await start(id)
  for (const first of [3, 5, 7]) await log.append(id, fence, toBatch(first, `${first} é ${'grows '.repeat(50)}`))
  const key = `{cc}:events:${id}`
  t.equal(await domain.redis.xlen(key), 5)
  const before = (await readAll(id, 8)).map((text) => text.split('\n'))
  t.ok(await seal(id, fence))
  const [entry] = await domain.redis.xrangeBuffer(key, '-', '+')
  t.equal(await domain.redis.xlen(key), 1)
  // ioredis types ids and fields as one kind of list.
  const [entryId, [, packed]] = entry as unknown as [Buffer, [Buffer, Buffer]]
  t.equal(entryId.toString(), '9-0', 'by its last seq')
  const lines = (await readAll(id, 9)).map((text) => text.split('\n'))
  t.same(
    lines.slice(0, -1).map((some) => some.slice(0, -1)),
    before,
  )
  t.same(
    lines.map((some) => some.length),
    [9, 8, 7, 6, 5, 4, 3, 2, 1],
  )
  const all = lines[0]?.join('\n') ?? ''
  t.ok(packed.length < all.length / 2, `${packed.length} of ${all.length} bytes`)
  t.same((await readLog(log, id)).chain.summary(), (await receiptOf(id)).events, 'to the byte')
  for (const limit of [1, 2, 8, 9, 10])
    for (let after = 0; after <= 9; after += 1) {
      const page = await log.readChunks(id, after, 1_000_000, limit)
      const read = page.chunks.map(({ bytes }) => bytes.toString()).join('\n')
      t.equal(read, lines[0]?.slice(after, after + limit).join('\n'), `${limit} after ${after}`)
      t.equal(page.lastSeq, 9)
    }
  t.match((await log.readLast(id)).chunks, [{ last: 9, isTerminal: true }])
  t.ok((await domain.redis.pttl(key)) > 0, 'it goes with its record')
  t.notOk(await domain.redis.exists('{cc}:events-draft'))
})

void t.test('what is packed counts as what it takes', async (t) => {
  const id = await submit('sizes')
  const fence = await start(id)
  await log.append(id, fence, toBatch(3, 'grows '.repeat(500)))
  await seal(id, fence)
  const [, bytes] = (await domain.redis.hmget(`{cc}:log:${id}`, 'lastSeq', 'bytes')).map(Number)
  const receipt = await domain.redis.hgetBuffer(`{cc}:execution:${id}`, 'receipt')
  t.ok(bytes !== undefined && bytes < 1_000, `${bytes} bytes of 6 KB`)
  const text = (await store.getReceipt(id)) ?? ''
  t.ok(receipt && receipt.length < text.length * 0.7, `${receipt?.length} of ${text.length} bytes`)
  t.equal((await receiptOf(id)).executionId, id)
  const request = await domain.redis.hstrlen(`{cc}:execution:${id}`, 'request')
  t.equal(Number(await domain.redis.hget('{cc}:finished-bytes', id)), Number(bytes) + Number(receipt?.length) + request)
})

void t.test('a receipt that an older version has stored is read', async (t) => {
  const id = await submit('receipts')
  await seal(id, await start(id))
  const text = (await store.getReceipt(id)) ?? ''
  await domain.redis.hset(`{cc}:execution:${id}`, 'receipt', text)
  t.equal(await store.getReceipt(id), text)
})

void t.test('a long log stays as it was written', async (t) => {
  const id = await submit('logs')
  const fence = await start(id)
  for (const first of [3, 5, 7]) await log.append(id, fence, toBatch(first, 'x'.repeat(6_000)))
  t.ok(await seal(id, fence))
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
