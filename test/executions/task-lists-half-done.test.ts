// What a crash leaves between two tasks, made by hand: the sweep goes on with it, once however often it runs.
import t, { type Test } from 'tap'
import { cancelExecution } from '../../src/executions/control/cancel-execution.js'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { submitExecution } from '../../src/executions/submit/submit-execution.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { writeEnd } from '../../src/executions/conclude/write-end.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Execution, Outcome } from '../../src/protocol/execution.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'

const CALLER = { id: 'tester', name: 'tester', scopes: new Set(['execute', 'read'] as const) }
const DONE: Outcome = { status: 'succeeded', result: 'done' }

async function openStore(t: Test, env: NodeJS.ProcessEnv = {}) {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent', ...env })
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  const { store, redis: keys } = domain
  const submit = async (tasks: string[]): Promise<Execution> =>
    (await submitExecution(domain, { tasks }, CALLER)).execution
  const currentOf = async (list: Execution): Promise<string> => (await store.listTaskIds(list.id)).at(-1) ?? ''
  /** Claims and starts the task whose turn it is. */
  async function start(list: Execution): Promise<{ id: string; fence: string }> {
    const id = await currentOf(list)
    const record = await store.get(id)
    await putFirst(keys, id)
    const claim = await store.claim(id, record?.claim ?? 0, 'worker', 60_000, 'default')
    if (claim.kind !== 'claimed') throw new Error(claim.kind)
    const index = record?.taskIndex ?? -1
    const listEvent: NewEvent = { type: 'task.started', data: { index, executionId: id, status: 'running' } }
    await startRecord(store, id, claim.fence, { listEvent })
    return { id, fence: claim.fence }
  }
  /** The process that wrote the end died before it told the list. */
  async function endAndDie({ id, fence }: { id: string; fence: string }, outcome = DONE): Promise<void> {
    t.match(await writeEnd(domain, id, { kind: 'holder', fence }, { outcome, attempt: 1 }), { kind: 'concluded' })
  }
  async function sweep(): Promise<void> {
    await keys.del('{cc}:lock:sweep')
    // As if some seconds had passed: whoever concluded a task gets that long to go on by itself.
    for (const id of await keys.zrange('{cc}:unsettled', '0', '-1')) await keys.zadd('{cc}:unsettled', 'XX', 1, id)
    await sweepExecutions(domain)
  }
  const told = async ({ id }: Execution): Promise<string[]> =>
    (await domain.log.readAfter(id, 0, 1e6)).events.map(({ seq, type }) => `${seq} ${type}`)
  async function dump(): Promise<string> {
    const names = (await keys.keys('*')).filter((name) => !/lock:|executions:(?:events|marker)/.test(name)).sort()
    return JSON.stringify(
      await Promise.all(names.map(async (name) => [name, (await keys.dumpBuffer(name))?.toString('base64')])),
    )
  }
  return { domain, store, keys, submit, currentOf, start, endAndDie, sweep, told, dump }
}

void t.test(
  'a crash between the end of a task and the next one is repaired by the first sweep, and the second changes nothing',
  async (t) => {
    const { domain, store, keys, submit, currentOf, start, endAndDie, sweep, told, dump } = await openStore(t)
    const middle = await submit(['one', 'two'])
    await endAndDie(await start(middle))
    const last = await submit(['only'])
    await endAndDie(await start(last))
    const failing = await submit(['one', 'two'])
    await endAndDie(await start(failing), { status: 'failed', code: 'MAX_TURNS' })
    const requested = await submit(['one', 'two'])
    await store.requestListCancel(requested.id, 'tester', 'why')
    const lost = await submit(['one', 'two'])
    await keys.zadd('{cc}:leases', 'XX', 1, (await start(lost)).id)

    await sweep()
    t.match(await store.get(middle.id), { state: 'running', tasks: [{ state: 'succeeded' }, { state: 'queued' }] })
    t.equal(
      await domain.queue.isOnItsWay({ executionId: await currentOf(middle), claim: 1 }),
      true,
      'and the next one has its job',
    )
    t.same(await told(middle), ['1 execution.queued', '2 task.started', '3 task.finished'])
    t.match(await store.get(last.id), { state: 'succeeded', outcome: { result: 'done' } })
    t.match(await store.get(failing.id), {
      state: 'failed',
      outcome: { code: 'TASK_FAILED', message: /\(MAX_TURNS\)/ },
    })
    t.match(await store.get(requested.id), {
      state: 'cancelled',
      tasks: [{ state: 'cancelled' }],
      outcome: { message: /^Cancelled by tester: why\./ },
    })
    t.match(await store.get(lost.id), {
      state: 'failed',
      tasks: [{ state: 'failed' }],
      outcome: { code: 'TASK_FAILED', message: /WORKER_LOST/ },
    })
    for (const { id } of [last, failing, requested, lost])
      t.equal((await told({ id } as Execution)).filter((line) => line.endsWith('execution.finished')).length, 1)
    t.same(await keys.zrange('{cc}:unsettled', '0', '-1'), [])
    const once = await dump()
    await sweep()
    t.equal(await dump(), once)
  },
)

void t.test('twenty processes that go on with one list do it once', async (t) => {
  const { domain, store, keys, submit, start, endAndDie, sweep, told } = await openStore(t)
  const list = await submit(['one', 'two'])
  await endAndDie(await start(list))
  await Promise.all(Array.from({ length: 20 }, () => Promise.all([sweep(), cancelNothing()])))
  async function cancelNothing(): Promise<void> {
    const { advanceTaskList } = await import('../../src/executions/conclude/advance-task-list.js')
    await advanceTaskList(domain, list.id)
  }
  t.equal((await store.listTaskIds(list.id)).length, 2)
  t.same(await told(list), ['1 execution.queued', '2 task.started', '3 task.finished'])
  await endAndDie(await start(list))
  await Promise.all(Array.from({ length: 20 }, cancelNothing))
  t.same((await told(list)).slice(3), ['4 task.started', '5 task.finished', '6 execution.finished'])
  t.equal((await keys.zrange('{cc}:waiting', '0', '-1')).length, 0)
  for (const key of await keys.keys(`*${list.id}*`)) t.ok((await keys.pttl(key)) > 0, `${key} has an end`)
  for (const id of await store.listTaskIds(list.id))
    for (const key of await keys.keys(`*:${id}`)) t.ok((await keys.pttl(key)) > 0, `${key} has an end, with its list`)
})

void t.test('a list takes one place in the queue, and its next task is never refused', async (t) => {
  const { domain, submit, start, store } = await openStore(t, { CC_EXECUTOR_MAX_QUEUE: '1' })
  const list = await submit(['one', 'two', 'three'])
  await t.rejects(submit(['x']), { code: 'QUEUE_FULL' })
  const { id, fence } = await start(list)
  await submit(['another'])
  t.ok(await concludeExecution(domain, id, { kind: 'holder', fence }, { outcome: DONE, attempt: 1 }))
  t.match(await store.get(list.id), { tasks: [{ state: 'succeeded' }, { state: 'queued' }] })
  t.match((await cancelExecution(domain, list.id, CALLER)).execution, {
    status: 'cancelled',
    tasks: [{ status: 'succeeded' }, { status: 'cancelled' }],
  })
})
