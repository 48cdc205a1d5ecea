// What a crash, or a lost answer, leaves half done: made by hand, and repaired, once however often it is tried.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { cancelExecution } from '../../src/executions/control/cancel-execution.js'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { toLogReading } from '../../src/executions/conclude/log-reading.js'
import type { EventLog } from '../../src/events/event-log.js'
import { LogWriter } from '../../src/events/log-writer.js'
import { EventChain } from '../../src/verification/event-chain.js'
import type { Scope } from '../../src/protocol/caller.js'
import { submitExecution } from '../../src/executions/submit/submit-execution.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'

const OVER = -5_000
const MIB = 1024 * 1024

async function openStore(t: Test, env: NodeJS.ProcessEnv = {}) {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent', ...env })
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  const { store, redis: keys } = domain

  async function create(more: Partial<NewRecord> = {}): Promise<NewRecord> {
    const id = randomUUID()
    const record: NewRecord = {
      id,
      owner: 'tester',
      request: { prompt: 'x' },
      requestDigest: 'digest',
      priority: 'normal',
      createdAt: Date.now() - 60_000,
      workspace: id,
      metadata: {},
      simulated: true,
      ...more,
    }
    await store.create(record, 100)
    return record
  }
  async function claim(id: string, leaseMs: number): Promise<string> {
    await putFirst(keys, id)
    const answer = await store.claim(id, 1, 'worker', leaseMs, 'default')
    if (answer.kind !== 'claimed') throw new Error(answer.kind)
    return answer.fence
  }
  const start = (id: string, fence: string) => startRecord(store, id, fence)
  async function sweep(): Promise<void> {
    for (const lock of await keys.keys('{cc}:lock:*')) await keys.del(lock)
    await sweepExecutions(domain)
  }
  /** As if its worker had not been heard of for a lease. */
  const lose = (id: string): Promise<unknown> => keys.zadd('{cc}:leases', 'XX', 1, id)
  const typesOf = async (id: string): Promise<string[]> =>
    (await domain.log.readAfter(id, 0, 1e6)).events.map(({ seq, type }) => `${seq} ${type}`)
  /** Everything that the store knows, to see that a second round changes nothing. */
  async function dump(): Promise<string> {
    const names = (await keys.keys('*')).filter((name) => !/lock:|executions:(?:events|marker)/.test(name)).sort()
    return JSON.stringify(
      await Promise.all(names.map(async (name) => [name, (await keys.dumpBuffer(name))?.toString('base64')])),
    )
  }
  return { ...domain, keys, create, claim, start, lose, sweep, typesOf, dump }
}

void t.test('what the driver sends again after a broken connection is done once', async (t) => {
  const { store, create, claim, start, typesOf } = await openStore(t)
  const record = await create()
  const fence = await claim(record.id, 60_000)
  t.same(await store.create(record, 100), { kind: 'created' })
  t.match(await store.get(record.id), { state: 'starting' }, 'an acceptance that comes twice takes nothing back')
  t.equal(await claim(record.id, 60_000), fence, 'the same worker, the same fence')
  t.match(await store.claim(record.id, 1, 'another', 60_000, 'default'), { kind: 'refused' })
  const first = await start(record.id, fence)
  t.same(await start(record.id, fence), first, 'started once')
  t.same(await typesOf(record.id), ['1 execution.queued', '2 execution.started'])
})

void t.test('each half-done state is repaired by the first sweep, and the second changes nothing', async (t) => {
  const { store, queue, log, keys, create, claim, start, lose, sweep, typesOf, dump } = await openStore(t)
  const jobless = await create()
  const lostStart = await create()
  await claim(lostStart.id, OVER)
  const lostRun = await create()
  const fence = await claim(lostRun.id, 60_000)
  await start(lostRun.id, fence)
  await lose(lostRun.id)
  const alive = await create()
  await start(alive.id, await claim(alive.id, 60_000))
  const overdue = await create({ queueDeadline: Date.now() - 1_000 })
  const holder = await create({ workspaceLock: 'shared' })
  const parked = await create({ workspaceLock: 'shared' })
  await claim(holder.id, 60_000)
  await putFirst(keys, parked.id)
  t.same(await store.claim(parked.id, 1, 'worker', 60_000, 'default'), { kind: 'parked', ready: [] })
  // As if its end had been stored by something that woke nobody.
  await keys.hset(`{cc}:execution:${holder.id}`, 'state', 'failed')
  await keys.zrem('{cc}:leases', holder.id)
  await keys.zadd('{cc}:index:tester', 0, '00000000-0000-7000-8000-000000000000')

  await sweep()
  t.match(await store.get(jobless.id), { state: 'queued', claim: 2 })
  t.match(await store.get(lostStart.id), { state: 'queued', claim: 2 })
  t.match(await store.get(lostRun.id), { state: 'failed', outcome: { code: 'WORKER_LOST' } })
  t.match(await store.get(alive.id), { state: 'running' }, 'who holds a lease is left alone')
  t.match(await store.get(overdue.id), { state: 'failed', outcome: { code: 'QUEUE_TIMEOUT' } })
  t.match(await store.get(parked.id), { state: 'queued', claim: 2, waitingFor: undefined })
  for (const { id } of [jobless, lostStart, parked])
    t.equal(await queue.isOnItsWay({ executionId: id, claim: 2 }), true)
  t.same(await typesOf(lostRun.id), ['1 execution.queued', '2 execution.started', '3 execution.finished'])
  t.same(await typesOf(overdue.id), ['1 execution.queued', '2 execution.finished'])
  t.same(
    await log.append(lostRun.id, fence, { first: 4, last: 4, bytes: Buffer.from('{}') }),
    { kind: 'stale' },
    'its worker is fenced off',
  )
  for (const { id } of [lostRun, overdue])
    for (const key of await keys.keys(`*${id}`)) t.ok((await keys.pttl(key)) > 0, `${key} has an end`)
  t.equal(
    await keys.zscore('{cc}:index:tester', '00000000-0000-7000-8000-000000000000'),
    null,
    'an index entry without a record goes',
  )

  const once = await dump()
  await sweep()
  t.equal(await dump(), once)
})

void t.test('an execution that is lost before its start again and again ends', async (t) => {
  const { store, create, sweep } = await openStore(t)
  const { id } = await create()
  for (const claim of [1, 2, 3]) {
    t.match(await store.claim(id, claim, 'worker', OVER, 'default'), { kind: 'claimed' })
    await sweep()
  }
  t.match(await store.get(id), { state: 'failed', attempt: 0, outcome: { code: 'WORKER_LOST' } })
})

void t.test(
  'one that is queued again after a lost start still ends at its queue timeout, also where no worker is left',
  async (t) => {
    const { store, keys, create, claim, sweep } = await openStore(t)
    const { id } = await create({ queueDeadline: Date.now() + 3_600_000 })
    await claim(id, OVER)
    await sweep()
    t.match(await store.get(id), { state: 'queued', claim: 2 })
    // The hour has passed.
    await keys.hset(`{cc}:execution:${id}`, 'queueDeadline', Date.now() - 1)
    await keys.zadd('{cc}:deadlines', 1, id)
    await sweep()
    t.match(await store.get(id), { state: 'failed', outcome: { code: 'QUEUE_TIMEOUT' } })
  },
)

void t.test('a start that comes when the lease is over is none', async (t) => {
  const { store, create, claim, start, sweep } = await openStore(t)
  const { id } = await create()
  t.same(await start(id, await claim(id, OVER)), { kind: 'stale' })
  await sweep()
  t.match(await store.get(id), { state: 'queued', claim: 2, attempt: 0 })
})

void t.test(
  'a cancel that its worker did not live to see, before the start, ends the execution and is not queued again',
  async (t) => {
    const { store, create, claim, sweep, typesOf } = await openStore(t)
    const { id } = await create()
    await claim(id, OVER)
    t.match(await store.request(id, { kind: 'cancel' }, 'somebody', 'enough'), { kind: 'requested' })
    await sweep()
    t.match(await store.get(id), { state: 'cancelled', attempt: 0, outcome: { code: 'CANCELLED' } })
    t.same(await typesOf(id), ['1 execution.queued', '2 execution.cancel_requested', '3 execution.finished'])
  },
)

void t.test('a record that nobody can read keeps the sweep from no other', async (t) => {
  const { store, keys, create, claim, start, lose, sweep } = await openStore(t)
  const [broken, lost] = [await create(), await create()]
  for (const { id } of [broken, lost]) {
    await start(id, await claim(id, 60_000))
    await lose(id)
  }
  await keys.hset(`{cc}:execution:${broken.id}`, 'request', '{')
  const overdue = await create({ queueDeadline: Date.now() - 1_000 })
  await t.rejects(sweep(), SyntaxError)
  t.match(await store.get(lost.id), { state: 'failed', outcome: { code: 'WORKER_LOST' } })
  t.match(await store.get(overdue.id), { state: 'failed', outcome: { code: 'QUEUE_TIMEOUT' } })
})

void t.test('a receipt needs no reading of the log that its writer knows, unless it ends elsewhere', async (t) => {
  const { create, claim, start, keys, sweep: _sweep, dump: _dump, typesOf: _typesOf, ...domain } = await openStore(t)
  let reads = 0
  const log: EventLog = {
    ...domain.log,
    readAfter: (...args) => {
      reads += 1
      return domain.log.readAfter(...args)
    },
  }
  for (const loses of [false, true]) {
    const { id } = await create()
    const fence = await claim(id, 60_000)
    await start(id, fence)
    // Asked again, it answers the same.
    const started = await start(id, fence)
    if (started.kind !== 'started') throw new Error(started.kind)
    const written = toLogReading(started.batches, started.lastSeq)
    t.equal(toLogReading(started.batches.slice(1), started.lastSeq), undefined, 'it must be all of it')
    const writer = new LogWriter({ log, executionId: id, fence, attempt: 1, lastSeq: 2, onStale: t.fail, written })
    for (const text of ['a', 'é', 'x'.repeat(70_000)]) {
      const rawMessage = JSON.stringify({ type: 'new', text })
      const bytes = text === 'é' ? undefined : Buffer.from(rawMessage)
      writer.write({ type: 'claude.message', rawMessage, bytes })
      if (text === 'é') await writer.flushed()
    }
    await writer.flushed()
    t.equal(written?.lastSeq, 5)
    if (loses) {
      // What Redis held in its last moments is gone, and the writer has nothing more to say that would show it.
      const name = `{cc}:events:${id}`
      const kept = (await keys.xrange(name, '-', '+')).slice(0, -1)
      await keys.del(name)
      for (const [entry, fields] of kept) await keys.xadd(name, entry, ...fields)
      await keys.hset(`{cc}:log:${id}`, 'lastSeq', 4)
    }
    reads = 0
    const ending = { outcome: { status: 'succeeded' as const, result: 'done' }, attempt: 1 }
    t.ok(await concludeExecution({ ...domain, log }, id, { kind: 'holder', fence, written }, ending))
    t.equal(reads > 0, loses)
    const { events } = await domain.log.readAfter(id, 0, 10 * MIB)
    const chain = new EventChain()
    for (const { bytes } of events) chain.add(bytes)
    const receipt = (await domain.store.getReceipt(id)) ?? '{}'
    t.equal(events.length, loses ? 5 : 6)
    t.match(JSON.parse(receipt), { events: chain.summary(), process: { workerId: 'worker' } })
  }
})

void t.test('an answer with half of a character ends its execution', async (t) => {
  const {
    create,
    claim,
    start,
    keys: _keys,
    sweep: _sweep,
    dump: _dump,
    typesOf: _typesOf,
    ...domain
  } = await openStore(t)
  const { id } = await create()
  const fence = await claim(id, 60_000)
  await start(id, fence)
  t.ok(
    await concludeExecution(
      domain,
      id,
      { kind: 'holder', fence },
      { outcome: { status: 'succeeded', result: 'half of a smile: \ud83d' }, attempt: 1, model: 'm\ud83d' },
    ),
  )
  t.match(await domain.store.get(id), { state: 'succeeded', outcome: { result: 'half of a smile: \ufffd' } })
})

void t.test(
  'an Idempotency-Key is kept until a day after the end, and goes with no execution but its own',
  async (t) => {
    const { store, keys, create, claim, start, ...domain } = await openStore(t, { CC_EXECUTOR_RETENTION_SECONDS: '60' })
    const name = '{cc}:idempotency:tester:k'
    const first = await create({ idempotencyKey: 'k' })
    t.equal(await keys.pttl(name), -1, 'as long as it has not ended')
    const fence = await claim(first.id, 60_000)
    await start(first.id, fence)
    await concludeExecution(
      { store, ...domain },
      first.id,
      { kind: 'holder', fence },
      { outcome: { status: 'succeeded', result: '' }, attempt: 1 },
    )
    t.ok((await keys.pttl(name)) > 86_000_000)
    // Its time is over.
    await keys.del(name)
    const second = await create({ idempotencyKey: 'k' })
    await store.delete(first.id, 'tester')
    t.match(await keys.get(name), second.id)
    const submit = () =>
      submitExecution(
        { store, ...domain },
        { prompt: 'x' },
        { id: 'tester', name: 'tester', scopes: new Set() },
        'forgotten',
      )
    const { execution } = await submit()
    await concludeExecution(
      { store, ...domain },
      execution.id,
      { kind: 'queued' },
      { outcome: { status: 'cancelled' }, attempt: 0 },
    )
    t.match(await submit(), { replayed: true, execution: { id: execution.id } })
    await store.retain({ bytes: 0, executions: 1 }, 10)
    await t.rejects(
      submit(),
      { code: 'EXECUTION_NOT_FOUND', details: { detail: /not run again/ } },
      'of what is forgotten nothing is run again',
    )
  },
)

void t.test('no more finished executions are kept than their number allows; a task list counts as one', async (t) => {
  const {
    keys,
    create,
    sweep: _sweep,
    dump: _dump,
    typesOf: _typesOf,
    claim: _claim,
    start: _start,
    ...domain
  } = await openStore(t, { CC_EXECUTOR_RETENTION_COUNT: '2' })
  const caller = { id: 'tester', name: 'tester', scopes: new Set<Scope>(['execute']) }
  const waiting = await create()
  const finished: string[] = []
  for (const request of [{ prompt: 'x' }, { tasks: ['a', 'b'] }, { prompt: 'y' }, { prompt: 'z' }]) {
    const {
      execution: { id },
    } = await submitExecution(domain, request, caller)
    await cancelExecution(domain, id, caller)
    finished.push(id)
    await sleep(2)
  }
  t.ok(await domain.store.tryLock('sweep', 60_000), 'a process with other limits is always the first to sweep')
  await sweepExecutions(domain)
  t.same(await keys.zrange('{cc}:finished', '0', '-1'), finished.slice(-2), 'the newest two')
  for (const id of finished.slice(0, 2)) t.notOk(await domain.store.exists(id))
  t.ok(await domain.store.exists(waiting.id), 'what is not finished is not counted')
})

void t.test(
  'what is finished takes no more than its limit: the oldest goes first, never one that runs, and the sum is exact',
  async (t) => {
    const {
      keys,
      create,
      claim,
      start,
      sweep,
      dump,
      typesOf: _typesOf,
      ...domain
    } = await openStore(t, { CC_EXECUTOR_RETENTION_BYTES: String(MIB) })
    const { store } = domain
    const prompt = 'x'.repeat(300 * 1024)
    const make = (): Promise<NewRecord> => create({ request: { prompt }, idempotencyKey: randomUUID() })
    async function finish({ id }: NewRecord): Promise<void> {
      const fence = await claim(id, 60_000)
      await start(id, fence)
      t.ok(
        await concludeExecution(
          domain,
          id,
          { kind: 'holder', fence },
          { outcome: { status: 'succeeded', result: 'y'.repeat(1_000) }, attempt: 1 },
        ),
      )
    }
    const listKept = (): Promise<string[]> => keys.zrange('{cc}:finished', '0', '-1')
    /** What the sum should be, from what is there. */
    async function measure(): Promise<number> {
      let sum = 0
      for (const id of await listKept()) {
        sum += Number(await keys.hget(`{cc}:log:${id}`, 'bytes'))
        for (const field of ['request', 'result', 'resultJson', 'receipt'])
          sum += await keys.hstrlen(`{cc}:execution:${id}`, field)
      }
      return sum
    }
    const isExact = async (what: string): Promise<void> =>
      void t.equal(Number(await keys.get('{cc}:finished-total')), await measure(), what)

    const running = await create({ request: { prompt } })
    await start(running.id, await claim(running.id, 60_000))
    const waiting = await create({ request: { prompt: 'z'.repeat(2 * MIB) } })
    const [oldest, older, deleted, expired, newer] = [
      await make(),
      await make(),
      await make(),
      await make(),
      await make(),
    ]
    for (const record of [oldest, older, deleted, expired, newer]) {
      await finish(record)
      await sleep(2)
    }
    t.equal((await listKept()).length, 5)
    await isExact('counted with each end')
    await store.delete(deleted.id, 'tester')
    await isExact('and uncounted with a deletion')
    for (const kind of ['execution', 'log', 'events']) await keys.del(`{cc}:${kind}:${expired.id}`)
    await sweep()
    await isExact('what has expired counts no more')
    t.same(await listKept(), [oldest.id, older.id, newer.id], 'and makes room before any other must go')
    const newest = await make()
    await finish(newest)
    await sweep()
    await isExact('after the limit was reached')
    t.same(await listKept(), [older.id, newer.id, newest.id], 'the oldest went, and no more than needed')
    t.ok((await measure()) <= MIB)
    t.same(await keys.keys(`*${oldest.id}*`), [], 'nothing is left of it, of its job neither')
    t.match(
      [(await store.get(running.id))?.state, (await store.get(waiting.id))?.state],
      ['running', 'queued'],
      'what is not finished is not counted and not touched',
    )
    t.equal(
      (await keys.keys('{cc}:idempotency:*')).length,
      5,
      'a key that was used still is: only the deletion forgot one',
    )
    const once = await dump()
    await sweep()
    t.equal(await dump(), once, 'a second round changes nothing')
    for (const { id } of [older, newer, newest]) await store.delete(id, 'tester')
    t.same(await keys.keys('{cc}:finished*'), [], 'and no count is left when nothing is')
  },
)
