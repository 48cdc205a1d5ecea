// The state table of SPEC.md, against the real scripts on a real Redis: every command in every state, with its answer
// and the state after it.
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isParked, toParkReason, TRANSITIONS, type ParkedState } from '../../src/executions/records/execution-state.js'
import type { Conclusion, NewRecord, Retry } from '../../src/executions/store/transitions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Priority } from '../../src/protocol/execute-request.js'
import { NO_USAGE, type ParkReason } from '../../src/protocol/execution.js'
import { ROOT } from '../support/paths.js'
import { namesTest } from '../support/named-tests.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'
import { COMMANDS, type Command, type State, TABLE } from './spec-table.js'

const LEASE_MS = 60_000
const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const {
  store,
  files,
  log,
  redis: keys,
} = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')

const conclusion = (status: 'succeeded' | 'failed' | 'cancelled' | 'timed_out', attempt = 1): Conclusion => ({
  outcome: status === 'succeeded' ? { status, result: 'done' } : { status, code: 'CANCELLED', message: '' },
  usage: NO_USAGE,
  attempt,
  finishedAt: new Date(),
})
const newRecord = (id: string, priority: Priority = 'normal'): NewRecord => ({
  id,
  owner: 'tester',
  request: { prompt: 'x' },
  requestDigest: 'digest',
  priority,
  createdAt: Date.now(),
  workspace: id,
  metadata: {},
  simulated: true,
})
const start = (id: string, fence: string) => startRecord(store, id, fence)

interface Subject {
  readonly id: string
  readonly fence: string
}

/** By the commands themselves, as far as they lead there. */
async function bringTo(state: State, priority?: Priority): Promise<Subject> {
  const id = randomUUID()
  if (state === 'missing') return { id, fence: '1' }
  await store.create(newRecord(id, priority), 1_000)
  if (state === 'queued') return { id, fence: '1' }
  await putFirst(keys, id)
  const claimed = await store.claim(id, 1, 'worker', LEASE_MS, 'default')
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind)
  const { fence } = claimed
  if (state === 'starting') return { id, fence }
  await start(id, fence)
  if (state === 'paused') await store.enter(id, fence, 'paused')
  else if (isParked(state)) await store.retry(id, fence, parkFor(toParkReason(state)))
  else if (state !== 'running') await store.conclude(id, fence, conclusion(state))
  return { id, fence }
}

const loseLease = (id: string): Promise<unknown> => keys.zadd('{cc}:leases', 'XX', 1, id)
const parkFor = (reason: ParkReason, budgetRevision?: number): Retry => ({
  ...retryOf,
  parked: { reason, until: new Date(Date.now() + 3_600_000), budgetRevision },
})
const retryOf = { reason: 'WORKER_LOST', message: '', usage: NO_USAGE, attempt: 1, spared: 0, at: new Date() } as const

const ending = { at: new Date(), attempt: 1, reason: 'ended' } as const

const DO: Record<Command, (subject: Subject) => Promise<string>> = {
  'take places': async ({ id, fence }) => (await store.takePlaces(id, fence, [`@here/${id}`])).kind,
  'take places, somebody has one': async ({ id, fence }) => {
    // Before the one that may be queued.
    const other = await bringTo('starting', 'high')
    await store.takePlaces(other.id, other.fence, [`@here/${id}/below`])
    return (await store.takePlaces(id, fence, [`@here/${id}`])).kind
  },
  create: async ({ id }) => (await store.create(newRecord(id), 1_000)).kind,
  claim: async ({ id }) => (await store.claim(id, 1, 'another', LEASE_MS, 'default')).kind,
  'claim again': async ({ id }) => (await store.claim(id, 1, 'worker', LEASE_MS, 'default')).kind,
  start: async ({ id, fence }) => (await start(id, fence)).kind,
  renew: async ({ id, fence }) => ((await store.renew(id, fence, LEASE_MS)) ? 'ok' : 'stale'),
  append: async ({ id, fence }) => {
    const next = (await log.readAfter(id, 0, 1e6)).lastSeq + 1
    return (await log.append(id, fence, { first: next, last: next, bytes: Buffer.from(`{"seq":${next},"type":"x"}`) }))
      .kind
  },
  'keep files': async ({ id, fence }) =>
    files
      .openWriter(id, fence)
      .finish({
        executionId: id,
        workspace: '',
        attempt: 1,
        created: 0,
        modified: 0,
        deleted: 0,
        unchanged: 0,
        files: [],
        notListed: 0,
        ignored: [],
        keptBytes: 0,
        limitBytes: 0,
      })
      .then(
        () => 'ok',
        () => 'stale',
      ),
  pause: async ({ id, fence }) => ((await store.enter(id, fence, 'paused')) ? 'ok' : 'stale'),
  resume: async ({ id, fence }) => ((await store.enter(id, fence, 'running')) ? 'ok' : 'stale'),
  conclude: async ({ id, fence }) => (await store.conclude(id, fence, conclusion('cancelled'))).kind,
  'conclude, fence lost': async ({ id, fence }) =>
    (await store.conclude(id, `${fence}0`, conclusion('cancelled'))).kind,
  'conclude abandoned': async ({ id }) => (await store.concludeAbandoned(id, conclusion('cancelled'))).kind,
  'conclude abandoned, lease over': async ({ id }) => {
    await loseLease(id)
    return (await store.concludeAbandoned(id, conclusion('cancelled'))).kind
  },
  'conclude queued': async ({ id }) => (await store.concludeQueued(id, conclusion('cancelled', 0))).kind,
  'request cancel': async ({ id }) => (await store.request(id, { kind: 'cancel' }, 'tester', undefined)).kind,
  'request pause': async ({ id }) =>
    (await store.request(id, { kind: 'pause', wanted: true }, 'tester', undefined)).kind,
  requeue: async ({ id, fence }) => (await store.requeue(id, fence, 2)).kind,
  'requeue, lease over': async ({ id }) => {
    await loseLease(id)
    return (await store.requeue(id, undefined, 2)).kind
  },
  retry: async ({ id, fence }) => (await store.retry(id, fence, retryOf)).kind,
  'retry, fence lost': async ({ id, fence }) => (await store.retry(id, `${fence}0`, retryOf)).kind,
  'retry, lease over': async ({ id }) => {
    await loseLease(id)
    return (await store.retry(id, undefined, retryOf)).kind
  },
  park: async ({ id, fence }) => (await store.retry(id, fence, parkFor('budget'))).kind,
  'park for an approval': async ({ id, fence }) => (await store.retry(id, fence, parkFor('approval'))).kind,
  'park, its limits changed': async ({ id, fence }) => (await store.retry(id, fence, parkFor('budget', 7))).kind,
  'go on': async ({ id }) => {
    const { state = 'queued', claim = 0, attempt = 0 } = (await store.get(id)) ?? {}
    // Safe: what is not parked is refused.
    return (await store.goOn({ id, state: state as ParkedState, claim, attempt }, { by: 'tester', at: new Date() }))
      .kind
  },
  'conclude parked': async ({ id }) => {
    const state = (await store.get(id))?.state ?? 'queued'
    const seen = { state: isParked(state) ? state : 'waiting_budget' } as const
    return (await store.concludeQueued(id, conclusion('cancelled', 1), undefined, seen)).kind
  },
  'set budget': async ({ id }) => {
    const record = await store.get(id)
    if (!record) return 'refused'
    const change = { budget: { maxBudgetUsd: 5 }, by: 'tester', at: new Date(), isEnough: true }
    return (await store.setBudget(record, { ...change, dailyBudget: undefined, wantedBudget: {} })).kind
  },
  reclaim: async ({ id }) => ((await store.reclaim(id, 1)) === undefined ? 'moved' : 'reclaimed'),
  'send message': async ({ id }) => {
    const answer = await store.sendMessage(id, {
      id: randomUUID(),
      delivery: 'steer',
      text: 'x',
      by: 'tester',
      acceptedAt: new Date().toISOString(),
      attempt: 1,
      key: undefined,
      digest: '',
      maxOpen: 1,
    })
    return answer.kind === 'accepted' ? (answer.message.fate?.kind ?? 'accepted') : answer.kind
  },
  'drop messages': async ({ id, fence }) => store.dropMessages({ ...ending, id, right: 'holder', fence }),
  delete: async ({ id }) => (await store.delete(id, 'tester')).kind,
}

// Safe: TABLE has every state, and nothing else.
const STATES = Object.keys(TABLE) as State[]
const stateOf = async (id: string): Promise<string> => (await store.get(id))?.state ?? 'missing'

for (const state of STATES) {
  void t.test(`every command to an execution that is ${state}`, async (t) => {
    for (const command of COMMANDS) {
      const subject = await bringTo(state)
      t.equal(await stateOf(subject.id), state)
      const expected = TABLE[state][command]
      const [answer, next] = typeof expected === 'string' ? [expected, state] : expected
      t.equal(await DO[command](subject), answer, `${command} of one that is ${state} answers ${answer}`)
      t.equal(await stateOf(subject.id), next, `${command} leaves it ${next}`)
      // The next claim would find it due.
      if (next !== 'queued') continue
      await store.dropMessages({ ...ending, id: subject.id, right: 'queued', fence: undefined })
      await store.concludeQueued(subject.id, conclusion('cancelled'))
    }
  })
}

const typesOf = async (id: string): Promise<string[]> =>
  (await log.readAfter(id, 0, 1e6)).events.map(({ type }) => type)

void t.test('a fence that was taken is refused by every command that asks for one', async (t) => {
  for (const command of [
    'take places',
    'start',
    'renew',
    'append',
    'keep files',
    'pause',
    'resume',
    'conclude',
    'requeue',
    'retry',
  ] as const) {
    for (const state of ['starting', 'running', 'paused'] as const) {
      const { id, fence } = await bringTo(state)
      const before = [await stateOf(id), await typesOf(id)]
      t.ok(
        ['stale', 'refused'].includes(await DO[command]({ id, fence: `${fence}0` })),
        `${command} of one that is ${state}`,
      )
      t.same([await stateOf(id), await typesOf(id)], before, 'nothing has changed')
    }
  }
})

void t.test('an end is one: whichever command writes it, no other one adds to it', async (t) => {
  const ends = COMMANDS.filter((command) => command.startsWith('conclude'))
  for (const [state, first] of [
    ['queued', 'conclude queued'],
    ['running', 'conclude'],
    ['paused', 'conclude abandoned, lease over'],
  ] as const) {
    const subject = await bringTo(state)
    t.equal(await DO[first](subject), 'concluded')
    const [record, types] = [await store.get(subject.id), await typesOf(subject.id)]
    t.match(record, { state: 'cancelled', outcome: { status: 'cancelled' } })
    t.equal(types.at(-1), 'execution.finished')
    for (const command of ends) t.not(await DO[command](subject), 'concluded', command)
    t.same([await store.get(subject.id), await typesOf(subject.id)], [record, types])
  }
})

void t.test('a start that is sent again after a pause is one start', async (t) => {
  const { id, fence } = await bringTo('paused')
  t.equal((await start(id, fence)).kind, 'started')
  t.equal(await stateOf(id), 'paused')
  t.same(await typesOf(id), ['execution.queued', 'execution.started'])
})

void t.test('a transition is made exactly where the table of TypeScript has it', async (t) => {
  const made = new Set<string>()
  for (const state of STATES) {
    for (const expected of Object.values(TABLE[state]))
      if (typeof expected !== 'string') made.add(`${state} → ${expected[1]}`)
  }
  const ends = ['succeeded', 'failed', 'cancelled', 'timed_out'] as const
  // The table concludes with `cancelled`; here every end is tried from every state that it may follow, and from those
  // that it may not.
  for (const state of ['queued', 'starting', 'running', 'paused', 'waiting_budget', 'waiting_approval'] as const) {
    for (const end of ends) {
      const { id, fence } = await bringTo(state)
      const answer =
        state === 'queued' || isParked(state)
          ? await store.concludeQueued(id, conclusion(end, 0), undefined, { state })
          : await store.conclude(id, fence, conclusion(end))
      if (answer.kind === 'concluded') made.add(`${state} → ${end}`)
      t.equal(answer.kind === 'concluded', TRANSITIONS[state][end] === true, `${state} → ${end}`)
    }
  }
  const allowed = Object.entries(TRANSITIONS).flatMap(([from, next]) =>
    Object.keys(next).map((to) => `${from} → ${to}`),
  )
  const inside = [...made].filter((step) => !step.includes('missing')).sort()
  // Only a task list goes from queued to running, by the first start of a task.
  t.same([...inside, 'queued → running'].sort(), allowed.sort())
})

const SPEC = readFileSync(join(ROOT, 'src/executions/SPEC.md'), 'utf8')

/** As SPEC.md shows it; states in which every command does the same stand together. */
function renderTable(): string {
  const cell = (state: State, command: Command): string => {
    const expected = TABLE[state][command]
    return typeof expected === 'string' ? expected : `${expected[0]} → **${expected[1]}**`
  }
  const columns = [
    ['missing', 'missing'],
    ['queued', 'queued'],
    ['starting', 'starting'],
    ['running', 'running'],
    ['paused', 'paused'],
    ['waiting_approval', 'waiting_approval'],
    ['waiting_budget', 'waiting_budget'],
    ['over', 'succeeded'],
  ] as const
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    row(['command', ...columns.map(([title]) => title)]),
    row(['---', ...columns.map(() => '---')]),
    ...COMMANDS.map((command) => row([command, ...columns.map(([, state]) => cell(state, command))])),
  ].join('\n')
}

void t.test('SPEC.md shows the table that was tried', async (t) => {
  for (const state of ['succeeded', 'failed', 'cancelled', 'timed_out'] as const) t.same(TABLE[state], TABLE.succeeded)
  t.ok(SPEC.includes(renderTable()), `it does not; it should show:\n${renderTable()}`)
})

void t.test('each invariant of SPEC.md names a test, and the test is there', async (t) => {
  const invariants = [...SPEC.matchAll(/^(\d+)\. \*\*.*\n((?:   Enforced by.*\n?)+)/gm)]
  const numbers = [...SPEC.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number))
  t.same(
    numbers,
    numbers.map((_number, index) => index + 1),
    'numbered from 1',
  )
  t.same(
    invariants.map(([, number]) => Number(number)),
    numbers,
    'each says by what it is enforced',
  )
  const missing = invariants.flatMap(([, number, enforcement = '']) => {
    const named = [...enforcement.matchAll(/`(test\/[^`]+)` “([^”]+)”/g)]
    const wrong = named
      .filter(([, file = '', name = '']) => !isTest(file, name))
      .map(([, file, name]) => `${number}: ${file} “${name}”`)
    return named.length === 0 ? [`${number}: no test`] : wrong
  })
  t.same(missing, [])
  t.notOk(
    isTest('test/executions/spec.test.ts', 'a test that nobody has written'),
    'a name that is not there would be noticed',
  )
})

function isTest(file: string, name: string): boolean {
  const path = join(ROOT, file)
  return existsSync(path) && namesTest(readFileSync(path, 'utf8'), name)
}
