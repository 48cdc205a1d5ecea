// What webhooks will tell of is written in the step in which it happens: the store by itself, on a real Redis.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { createLogger } from '../../src/platform/logger.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { openTestRedis } from '../support/redis.js'

const server = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = { ...readConfig({ CC_EXECUTOR_DATA_DIR: server.directory, LOG_LEVEL: 'silent' }), prefix: 'outbox' }
const opened = openDomain({ config, redisUrl: server.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, redis } = opened
const hear = (owner: string) => redis.hset('{outbox}:webhook-hearers', owner, 1)

const toRecord = (owner: string, more: Partial<NewRecord> = {}): NewRecord => {
  const id = randomUUID()
  const times = { createdAt: Date.now(), workspace: id, priority: 'normal' } as const
  const request = { prompt: 'x' }
  return { id, owner, request, requestDigest: 'digest', metadata: { team: 'a' }, simulated: true, ...times, ...more }
}

async function start(id: string, attempt = 1, claim = 1): Promise<string> {
  const claimed = await store.claim(id, claim, 'worker', 60_000, 'default')
  const fence = claimed.kind === 'claimed' ? claimed.fence : ''
  const fields = { startedAt: new Date(), attempt, sessionId: randomUUID(), simulated: true }
  const data = { attempt, sessionId: fields.sessionId }
  // The store looks at no field of it.
  const event = { type: 'execution.started', data } as unknown as Parameters<typeof store.start>[3]
  t.equal((await store.start(id, fence, fields, event, event)).kind, 'started')
  return fence
}

const end = { usage: NO_USAGE, attempt: 1, finishedAt: new Date() }
const FAILED = { ...end, outcome: { status: 'failed', code: 'CLAUDE_EXITED', message: '' } } as const

/** What is in it, oldest first, without its times; it is empty then. */
async function takeOutbox(): Promise<Array<Record<string, string>>> {
  const entries = await redis.xrange('{outbox}:outbox', '-', '+')
  await redis.del('{outbox}:outbox')
  return entries.map(([, values]) => {
    const { timestamp, ...fields } = Object.fromEntries(
      Array.from({ length: values.length / 2 }, (_, index) => [values[index * 2], values[index * 2 + 1]]),
    )
    t.ok(Math.abs(Number(timestamp) - Date.now()) < 600_000)
    return fields
  })
}

void t.test('where nobody hears, nothing is written', async (t) => {
  await hear('somebody else')
  const record = toRecord('alice')
  await store.create(record, 100)
  await store.conclude(record.id, await start(record.id), FAILED)
  t.equal(await redis.exists('{outbox}:outbox'), 0)
})

void t.test(
  'the first start, the parking and the end of an execution, in their order, with all that is told',
  async (t) => {
    await hear('bob')
    const record = toRecord('bob')
    await store.create(record, 100)
    const retry = {
      reason: 'WORKER_LOST',
      message: '',
      usage: NO_USAGE,
      attempt: 1,
      spared: 0,
      at: new Date(),
    } as const
    const more = { failedStarts: undefined, paidBy: undefined, queueDeadline: undefined, notBefore: undefined }
    t.match(await store.retry(record.id, await start(record.id), { ...retry, ...more }), { kind: 'retrying' })
    const parked = { reason: 'budget', until: new Date(Date.now() + 3_600_000) } as const
    const park = { ...retry, reason: 'BUDGET_EXCEEDED', parked, attempt: 2 } as const
    t.match(await store.retry(record.id, await start(record.id, 2, 2), park), { kind: 'parked' })
    const { claim = 0 } = (await store.get(record.id)) ?? {}
    const seen = { id: record.id, state: 'waiting_budget', claim, attempt: 2 } as const
    const gone = await store.goOn(seen, { by: 'bob', at: new Date() })
    const fence = await start(record.id, 3, gone.kind === 'unparked' ? gone.ready.claim : 0)
    t.match(await store.conclude(record.id, fence, FAILED), { kind: 'concluded' })
    t.match(await store.conclude(record.id, fence, FAILED), { kind: 'stale' })
    const common = { executionId: record.id, owner: 'bob', metadata: '{"team":"a"}' }
    t.same(await takeOutbox(), [
      { ...common, type: 'execution.started', state: 'running' },
      { ...common, type: 'execution.parked', state: 'waiting_budget' },
      { ...common, type: 'execution.finished', state: 'failed', code: 'CLAUDE_EXITED' },
    ])
  },
)

void t.test('an approval that is asked for', async (t) => {
  await hear('dora')
  const record = toRecord('dora', { metadata: {} })
  await store.create(record, 100)
  const fence = await start(record.id)
  const asked: Parameters<typeof store.requestApproval>[2] = {
    kind: 'tool',
    toolUseId: 'toolu',
    tool: 'Bash',
    input: {},
    inputTruncated: undefined,
    inputSha256: '',
    reason: undefined,
    suggestions: [],
    updates: [],
    questions: undefined,
    attempt: 1,
  }
  const [once, of, limits] = [randomUUID(), { executionId: record.id, fence }, { open: 9, all: 9 }]
  for (const id of [once, once]) await store.requestApproval(id, of, asked, 60_000, limits)
  const common = { executionId: record.id, owner: 'dora', state: 'running' }
  t.same(await takeOutbox(), [
    { ...common, type: 'execution.started' },
    { ...common, type: 'approval.requested', approvalId: once },
  ])
})

void t.test('ends of what nobody held, and of a list with its tasks, for a hook of all tokens', async (t) => {
  await hear('*')
  const list = toRecord('carol', { kind: 'task_list', taskCount: 1, request: { tasks: ['x'] } })
  const task = toRecord('carol', { kind: 'task', parentId: list.id, taskIndex: 0, metadata: {} })
  await store.create(list, 100, task)
  await start(task.id)
  const queued = toRecord('carol', { metadata: {} })
  await store.create(queued, 100)
  await store.concludeQueued(queued.id, { ...end, outcome: { status: 'cancelled', code: 'CANCELLED', message: '' } })
  const ofTask = { executionId: task.id, owner: 'carol', kind: 'task', parentId: list.id }
  t.same(await takeOutbox(), [
    {
      type: 'execution.started',
      executionId: list.id,
      owner: 'carol',
      state: 'running',
      kind: 'task_list',
      metadata: '{"team":"a"}',
    },
    { type: 'execution.started', ...ofTask, state: 'running' },
    { type: 'execution.finished', executionId: queued.id, owner: 'carol', state: 'cancelled', code: 'CANCELLED' },
  ])
})
