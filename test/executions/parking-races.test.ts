// Whoever decides on a parked execution at the same time as somebody else: one counts, and nothing is reserved twice.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { unparkExecution } from '../../src/executions/conclude/unpark-execution.js'
import { cancelExecution } from '../../src/executions/control/cancel-execution.js'
import { changeBudget } from '../../src/executions/control/change-budget.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { settleParked } from '../../src/executions/conclude/settle-parked.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { mintUuid } from '../../src/platform/mint-uuid.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Caller } from '../../src/protocol/caller.js'
import { NO_USAGE, type Usage } from '../../src/protocol/execution.js'
import { openRandom } from '../faults/random.js'
import { openTestRedis } from '../support/redis.js'
import { startRecord } from '../support/start-record.js'
import { withinDay } from '../support/within-day.js'

const seed = process.env['CC_EXECUTOR_FAULT_SEED'] ?? randomBytes(4).toString('hex')
t.comment(`seed ${seed}; again with CC_EXECUTOR_FAULT_SEED=${seed}`)
const random = openRandom(`${seed}/parking`)
// Its owner may spend a hundred dollars, and each round three quarters of one.
const ROUNDS = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? 100 : 25

const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, redis: keys } = domain
const SPENT: Usage = { ...NO_USAGE, costUsd: 0.75, outputTokens: 40 }
const caller: Caller = { id: 'owner', name: 'somebody', scopes: new Set(['execute']), dailyBudget: { usd: 100 } }

/** Parked at half a dollar, of which it has spent three quarters. */
async function park(more: { readonly untilMs?: number; readonly notBefore?: Date } = {}): Promise<string> {
  const id = mintUuid(Date.now())
  await store.create(
    {
      id,
      owner: 'owner',
      request: { prompt: 'x', maxBudgetUsd: 0.5, onBudgetExceeded: 'pause' },
      requestDigest: 'd',
      priority: 'normal',
      createdAt: Date.now(),
      workspace: id,
      metadata: {},
      simulated: false,
      dailyBudget: { usd: 100 },
      wantedBudget: { usd: { run: 500_000, cap: 100_000_000 } },
    },
    1_000_000,
  )
  const claimed = await store.claim(id, 1, 'worker', 60_000, 'default')
  if (claimed.kind !== 'claimed' || claimed.executionId !== id) throw new Error(`not claimed: ${claimed.kind}`)
  await startRecord(store, id, claimed.fence, { simulated: false })
  const parked = {
    reason: 'budget',
    until: new Date(Date.now() + (more.untilMs ?? 3_600_000)),
    budgetRevision: 0,
  } as const
  const retry = { reason: 'BUDGET_EXCEEDED', message: '', usage: SPENT, attempt: 1, spared: 1, at: new Date() } as const
  const answer = await store.retry(id, claimed.fence, { ...retry, parked: { ...parked, notBefore: more.notBefore } })
  if (answer.kind !== 'parked') throw new Error(answer.kind)
  return id
}

const typesOf = async (id: string): Promise<string[]> =>
  (await domain.log.readAfter(id, 0, 1e6)).events.map(({ type }) => type)
const count = (types: readonly string[], type: string): number => types.filter((one) => one === type).length
const stateOf = async (id: string): Promise<string> => (await store.get(id))?.state ?? 'missing'
async function book(): Promise<{ spent: number; reserved: number }> {
  const { spent, reserved } = (await domain.ledger.book(await domain.ledger.today(), 'owner', false)).usd
  return { spent, reserved }
}

void t.test(
  'what is parked has booked what it spent and reserves nothing; a raise reserves the rest once',
  async (t) => {
    const id = await park()
    t.same(await book(), { spent: 0.75, reserved: 0 })
    t.match(await store.get(id), { budget: { usd: 0.5 } }, 'the limit that it has met is shown')
    await changeBudget(domain, id, caller, { maxBudgetUsd: 2 })
    t.same(await book(), { spent: 0.75, reserved: 1.25 })
    t.match(await store.get(id), { state: 'queued', budget: { usd: 2 } })
    await t.rejects(changeBudget(domain, id, caller, { maxBudgetUsd: 101 }), { code: 'BUDGET_EXCEEDED' })
    await changeBudget(domain, id, caller, { maxBudgetUsd: 1 })
    t.same(await book(), { spent: 0.75, reserved: 0.25 }, 'also while it waits')
    await cancelExecution(domain, id, caller)
    t.same(await book(), { spent: 0.75, reserved: 0 }, 'and its end counts nothing twice')
  },
)

void t.test('two who raise, a cancel, the end of its time and the day that turns: one of them counts', async (t) => {
  let spent = (await book()).spent
  for (let round = 0; round < ROUNDS; round += 1) {
    const isDue = random.between(0, 2) === 1
    const id = await park({ untilMs: -1, ...(isDue && { notBefore: new Date(Date.now() - 10) }) })
    spent += 0.75
    const acts = [
      () => changeBudget(domain, id, caller, { maxBudgetUsd: 2 }),
      () => changeBudget(domain, id, caller, { maxBudgetUsd: 3 }),
      () => cancelExecution(domain, id, caller),
      () => settleParked(domain, id),
      () => settleParked(domain, id),
      async () => {
        const record = await store.get(id)
        if (record) await unparkExecution(domain, record, { by: 'another', note: 'decided' })
      },
    ]
    const chosen = random.shuffle(acts).slice(0, random.between(2, acts.length + 1))
    await Promise.allSettled(chosen.map((act) => act()))
    const [state, types] = [await stateOf(id), await typesOf(id)]
    t.ok(['queued', 'cancelled', 'failed'].includes(state), state)
    t.ok(count(types, 'execution.unparked') <= 1, types.join())
    t.equal(count(types, 'execution.finished'), state === 'queued' ? 0 : 1, types.join())
    const last = types.findLast((type) => /unparked|finished/.test(type))
    t.equal(last, state === 'queued' ? 'execution.unparked' : 'execution.finished', types.join())
    if (state === 'queued') await cancelExecution(domain, id, caller)
    t.same(await book(), { spent, reserved: 0 }, `what was spent, once: ${types.join()}`)
    t.equal(await keys.zcard('{cc}:resting:budget'), 0)
  }
})

void t.test('what is sent again, because its answer was lost, is done once', async (t) => {
  const id = await park()
  const record = await store.get(id)
  if (!record || record.state !== 'waiting_budget') throw new Error('it is parked')
  const rest = { dailyBudget: undefined, wantedBudget: { usd: { total: 2_000_000 } }, isEnough: true }
  const change = { budget: { maxBudgetUsd: 2 }, by: 'somebody', at: new Date(), ...rest }
  t.match(await store.setBudget(record, change), { kind: 'unparked' })
  t.match(await store.setBudget(record, change), { kind: 'changed' })
  const seen = { id, state: record.state, claim: record.claim, attempt: 1 }
  t.match(await store.goOn(seen, { by: 'another', at: new Date() }), { kind: 'refused', state: 'queued' })
  const types = await typesOf(id)
  t.same([count(types, 'execution.budget_changed'), count(types, 'execution.unparked')], [1, 1])
  t.same((await book()).reserved, 1.25)
  await cancelExecution(domain, id, caller)
})

void t.test('a change of its limits that comes as it is parked comes first', async (t) => {
  const id = await park()
  await changeBudget(domain, id, caller, { maxBudgetUsd: 5 })
  const claimed = await store.claim(id, 2, 'worker', 60_000, 'default')
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind)
  await startRecord(store, id, claimed.fence, { simulated: false })
  await changeBudget(domain, id, caller, { maxBudgetUsd: 9 })
  t.same(await typesOf(id).then((types) => count(types, 'execution.budget_changed')), 1, 'its holder writes it')
  t.match(await store.renew(id, claimed.fence, 60_000), { budgetChanges: [{ maxBudgetUsd: 5 }, { maxBudgetUsd: 9 }] })
  const parked = { reason: 'budget', until: new Date(), budgetRevision: 1 } as const
  const retry = { reason: 'BUDGET_EXCEEDED', message: '', usage: SPENT, attempt: 2, spared: 2, at: new Date() } as const
  t.match(await store.retry(id, claimed.fence, { ...retry, parked }), { kind: 'moved' })
  t.equal(await stateOf(id), 'running')
  const seen = { ...retry, parked: { ...parked, budgetRevision: 2 } }
  t.match(await store.retry(id, claimed.fence, seen), { kind: 'parked' })
  const before = { state: 'waiting_budget', claim: 1 } as const
  t.match(
    await store.goOn({ id, ...before, attempt: 1 }, { by: 'another', at: new Date() }),
    { kind: 'refused' },
    'who saw it when it was parked before comes too late',
  )
  const outcome = { status: 'failed', code: 'BUDGET_EXCEEDED' } as const
  const ending = { outcome, attempt: 1, usage: SPENT, finishedAt: new Date() }
  t.match(await store.concludeQueued(id, ending, undefined, before), { kind: 'refused' })
  const drop = { right: 'queued', fence: undefined, at: new Date(), attempt: 1, reason: 'failed' } as const
  const known = { id, state: before.state, claim: String(before.claim) }
  t.equal(await store.dropMessages({ ...drop, ...known }), 'stale', 'what was said to it is not lost')
  await cancelExecution(domain, id, caller)
})

void t.test('at the daily limit it goes on when the day turns, as far as that day has something left', async (t) => {
  await withinDay()
  const id = await park({ notBefore: new Date(Date.now() - 1) })
  const day = Math.floor(Date.now() / 86_400_000)
  await keys.hset(`{cc}:budget:real:${day}:owner`, 'usd:spent', 100_000_000)
  await keys.hset(`{cc}:execution:${id}`, 'request', JSON.stringify({ prompt: 'x', onBudgetExceeded: 'pause' }))
  await keys.del('{cc}:lock:sweep')
  await sweepExecutions(domain)
  const waiting = await store.get(id)
  t.match(
    waiting,
    { state: 'waiting_budget', notBefore: (day + 1) * 86_400_000 },
    'nothing is left: it waits another day',
  )
  t.match((await typesOf(id)).at(-1), 'execution.parked')
  await keys.hset(`{cc}:budget:real:${day}:owner`, 'usd:spent', 99_000_000)
  await keys.zadd('{cc}:resting:budget', 1, id)
  await keys.hset(`{cc}:execution:${id}`, 'notBefore', 1)
  await settleParked(domain, id)
  t.match(await store.get(id), { state: 'queued', budget: { usd: 1.75 } }, 'what it had spent, and what is left')
  t.match(JSON.parse(String((await domain.log.readAfter(id, 0, 1e6)).events.at(-1)?.bytes)).data, {
    by: 'daily budget',
  })
  t.same(await book(), { spent: 99, reserved: 1 })
  await cancelExecution(domain, id, caller)
  t.same(await book(), { spent: 99, reserved: 0 })
})
