// The queue and the worker that takes from it, with a scripted CLI and one run at a time: order, places, what keeps a
// run waiting, and clocks that stand still with it.
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { existsSync, watch } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { keyRoot } from '../../src/platform/redis.js'
import type { EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { submitHeld, type HeldRun } from '../support/held-run.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openTestService } from '../support/service.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { once, until } from '../support/deadlines.js'

const service = await openTestService(t, {
  env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '1' },
})

const INIT = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
const RESULT = { line: { type: 'result', subtype: 'success', is_error: false, result: 'released' } }
const held = (more: Record<string, unknown> = {}): Promise<HeldRun> =>
  submitHeld(service.directory, (prompt) => service.submit({ prompt, ...more }))
const control = async (name: 'cancel' | 'pause' | 'resume', { id }: Execution) =>
  service.call('POST', `/executions/${id}/${name}`)
const look = async ({ id }: Execution): Promise<Execution> => (await service.call('GET', `/executions/${id}`)).body

void t.test('BullMQ’s own books are kept: progress, return value, failure', async (t) => {
  const queue = new Queue('executions', {
    prefix: keyRoot('cc'),
    connection: { path: service.redis.url.replace('unix://', '') },
  })
  t.teardown(() => queue.close())
  /** Some time after the execution's own end. */
  const settled = async ({ id }: Execution) => {
    let job = await queue.getJob(`${id}-1`)
    await until(async () => (job = await queue.getJob(`${id}-1`))?.finishedOn !== undefined, 'the job is finished')
    return job
  }
  const [good, bad] = [await service.submit({ prompt: 'fine' }), await service.submit({ prompt: '[{"exit":3}]' })]
  for (const { id } of [good, bad]) await service.finished(id)
  const job = await settled(good)
  t.match(job?.progress, { turns: Number, elapsedMs: Number })
  t.same(job?.returnvalue, { status: 'succeeded' })
  t.match((await settled(bad))?.failedReason, /^CLAUDE_EXITED: /)
  const told = (await service.events(good.id)).filter(({ type }) => type === 'progress')
  t.match(told, [{ data: { turns: Number } }])
})

void t.test(
  'the queue runs by priority, then by time, one at a time where only one may, and says the place',
  async (t) => {
    const first = await held()
    await service.until(first.id, 'claude.message')
    const waiting = [] as Execution[]
    for (const priority of ['low', 'normal', 'high', 'normal', 'high'])
      waiting.push(await service.submit({ prompt: `p ${priority}`, priority }))
    const positions = (await Promise.all(waiting.map(look))).map(({ position }) => position)
    t.same(positions, [5, 3, 1, 4, 2])
    t.match((await service.call('GET', '/queue')).body, {
      depth: 5,
      byPriority: { low: 1, normal: 2, high: 2 },
      running: 1,
      capacity: 1,
    })
    const cancelled = await service.submit({ prompt: 'never starts' })
    t.match((await control('cancel', cancelled)).body, {
      status: 'cancelled',
      outcome: { code: 'CANCELLED' },
      attempt: 0,
    })
    const overdue = await service.submit({ prompt: 'too late', queueTimeoutSeconds: 0.2 })
    t.match(await service.finished(overdue.id), {
      status: 'failed',
      outcome: { code: 'QUEUE_TIMEOUT', message: /queueTimeoutSeconds/ },
      attempt: 0,
    })
    await first.release()
    const ended = await Promise.all([first, ...waiting].map(({ id }) => service.finished(id)))
    t.ok(ended.every(({ status }) => status === 'succeeded'))
    const inOrder = ended.sort((a, b) => String(a.startedAt).localeCompare(String(b.startedAt)))
    t.same(
      inOrder.map(({ request }) => request.priority),
      [undefined, 'high', 'high', 'normal', 'normal', 'low'],
    )
    for (const [index, { startedAt = '' }] of inOrder.entries())
      t.ok(index === 0 || startedAt >= String(inOrder[index - 1]?.finishedAt), 'never two at once')
    t.same(
      (await service.events(cancelled.id)).map(({ type }) => type),
      ['execution.queued', 'execution.cancel_requested', 'execution.finished'],
    )
    t.notOk((await service.events(overdue.id)).some(({ type }) => type === 'execution.started'))
  },
)

void t.test(
  'a worker without the CLI, or without credentials, fails what it takes with its own code and the remedy',
  async (t) => {
    await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
    const cases = [
      [{ CC_EXECUTOR_CLAUDE_BIN: '/nowhere/claude' }, 'CLAUDE_NOT_FOUND', /CC_EXECUTOR_CLAUDE_BIN/],
      [{ CC_EXECUTOR_SIMULATOR_URL: '', HOME: service.directory }, 'CLAUDE_NOT_AUTHENTICATED', /ANTHROPIC_API_KEY/],
    ] as const
    for (const [env, code, remedy] of cases) {
      const worker = await service.openWorker(env)
      const { id } = await service.submit({ prompt: 'x' })
      t.match(await service.finished(id), { status: 'failed', attempt: 0, outcome: { code, message: remedy } }, code)
      const ready = await service.call('GET', '/health/ready')
      t.match([ready.status, ready.body.parts.claude], [503, { status: 'failed', message: String }])
      await worker.close()
    }
    t.match((await service.call('GET', '/health/ready')).body.parts.workers, { count: 0 })
  },
)

void t.test(
  'one execution at a time has a named workspace; the next says what it waits for, and both end in order',
  async (t) => {
    await service.openWorker({ CC_EXECUTOR_CONCURRENCY: '3' })
    const first = await held({ workspace: 'shared' })
    await service.until(first.id, 'claude.message')
    const second = await service.submit({ prompt: 'second', workspace: './shared/' })
    const third = await service.submit({ prompt: 'third', workspace: 'shared' })
    const elsewhere = await service.submit({ prompt: 'free', workspace: 'other' })
    t.match(await service.finished(elsewhere.id), { status: 'succeeded' }, 'others pass by')
    for (const execution of [second, third]) {
      await until(async () => (await look(execution)).waitingFor !== undefined, 'it says that it waits')
      t.match(await look(execution), { status: 'queued', waitingFor: 'workspace' })
    }
    t.match((await service.call('GET', '/queue')).body, { depth: 2, waitingForWorkspace: 2, running: 1 })
    t.match((await control('cancel', third)).body, { status: 'cancelled' })
    await first.release()
    const [one, two] = await Promise.all([service.finished(first.id), service.finished(second.id)])
    t.match([one, two], [{ status: 'succeeded' }, { status: 'succeeded', workspace: 'shared' }])
    t.ok(String(two.startedAt) >= String(one.finishedAt))
    t.notOk('waitingFor' in two)
  },
)

void t.test('the clocks of a paused run stand still', async (t) => {
  const ended = await withLongerClocks(3, async (seconds) => {
    const execution = await held({ timeoutSeconds: seconds, idleTimeoutSeconds: seconds })
    const comes = (type: EventType): Promise<boolean> =>
      service.until(execution.id, type).then(
        () => true,
        () => false,
      )
    if (!(await comes('claude.message'))) return undefined
    await control('pause', execution)
    if (!(await comes('execution.paused'))) return undefined
    const { startedAt = '' } = await look(execution)
    await sleep(Math.max(0, Date.parse(startedAt) + seconds * 1_000 + 500 - Date.now()))
    t.match(await look(execution), { status: 'paused' })
    await execution.release()
    await control('resume', execution)
    const { status, outcome } = await service.finished(execution.id)
    return status === 'timed_out' ? undefined : { status, outcome }
  })
  t.match(ended, { status: 'succeeded', outcome: { result: 'released' } })
})

void t.test('a pause that comes when Claude has ended stops nothing, and nothing says so', async (t) => {
  const admin = new Redis(service.redis.url.slice('unix://'.length))
  t.teardown(() => admin.disconnect())
  const { id } = await service.submit({
    prompt: JSON.stringify([INIT, RESULT]),
    verify: { commands: [['bash', '-c', 'touch begun; until test -e go; do sleep 0.02; done']] },
  })
  const folder = join(service.config.workspaceRoot, id)
  await until(() => existsSync(join(folder, 'begun')), 'its verification runs')
  const lease = (): Promise<string | null> => admin.zscore(`${keyRoot('cc')}:leases`, id)
  const before = await lease()
  t.equal((await service.call('POST', `/executions/${id}/pause`)).status, 202)
  await until(async () => (await lease()) !== before, 'the worker has seen the request')
  await writeFile(join(folder, 'go'), '')
  const { outcome } = await service.finished(id)
  t.match(
    outcome?.verification?.checks.find(({ name }) => name === 'commands'),
    { status: 'pass' },
  )
  t.notOk((await service.events(id)).some(({ type }) => type === 'execution.paused'))
})

void t.test('a start that Redis keeps waiting for most of a lease is one', async (t) => {
  await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
  await service.openWorker({ CC_EXECUTOR_LOCK_SECONDS: '12' })
  const admin = new Redis(service.redis.url.slice('unix://'.length))
  t.teardown(() => admin.disconnect())
  // The first folder of its own: claimed, and not yet started.
  const watcher = watch(join(service.config.dataDir, 'sessions'))
  const prepared = once(watcher, 'change')
  const { id } = await service.submit({ prompt: JSON.stringify([INIT, RESULT]) })
  await prepared
  watcher.close()
  await admin.call('CLIENT', 'PAUSE', '6400', 'ALL')
  await admin.ping()
  t.match(await service.finished(id), { status: 'succeeded', attempt: 1 })
})
