// Whoever decides on an execution that is parked for an approval, at the same time as somebody else or of an older
// version: one counts, the log tells it once, and nothing stays parked behind a decision.
import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { settleParked } from '../../src/executions/conclude/settle-parked.js'
import { cancelExecution } from '../../src/executions/control/cancel-execution.js'
import { decideApproval } from '../../src/executions/control/decide-approval.js'
import { digestInput } from '../../src/executions/records/approval-record.js'
import { findDecided } from '../../src/executions/run/earlier-approvals.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { mintUuid } from '../../src/platform/mint-uuid.js'
import type { Caller } from '../../src/protocol/caller.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { openRandom } from '../faults/random.js'
import { FIXTURES } from '../support/paths.js'
import { openOlderWorker } from '../support/older-scripts.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'

const seed = process.env['CC_EXECUTOR_FAULT_SEED'] ?? randomBytes(4).toString('hex')
t.comment(`seed ${seed}; again with CC_EXECUTOR_FAULT_SEED=${seed}`)
const random = openRandom(`${seed}/approvals`)
const ROUNDS = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? 100 : 20

const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, redis: keys } = domain
const caller: Caller = { id: 'owner', name: 'somebody', scopes: new Set(['execute', 'approve']) }
const input = { command: 'touch x' }
const HOUR_MS = 3_600_000

async function park({ timeoutMs = HOUR_MS, fails = false } = {}): Promise<{ id: string; approval: string }> {
  const [id, approval] = [mintUuid(Date.now()), randomUUID()]
  const onApprovalTimeout = fails ? 'fail' : 'deny'
  await store.create(
    {
      id,
      owner: 'owner',
      request: { prompt: 'x', onPermissionNeeded: 'ask', onApprovalTimeout },
      requestDigest: 'd',
      priority: 'normal',
      createdAt: Date.now(),
      workspace: id,
      metadata: {},
      simulated: false,
    },
    1_000_000,
  )
  await putFirst(keys, id)
  const claimed = await store.claim(id, 1, 'worker', 60_000, 'default')
  if (claimed.kind !== 'claimed' || claimed.executionId !== id) throw new Error(`not claimed: ${claimed.kind}`)
  const { fence } = claimed
  await startRecord(store, id, fence, { simulated: false })
  const call = { kind: 'tool', toolUseId: 'toolu_1', tool: 'Bash', input, inputSha256: digestInput(input) } as const
  const asked = { ...call, suggestions: [], updates: [], attempt: 1 }
  await store.requestApproval(approval, { executionId: id, fence }, asked, timeoutMs, { open: 5, all: 10 })
  await store.holdApproval(approval, { executionId: id, fence }, 'because')
  const until = new Date(Date.now() + timeoutMs)
  const retry = {
    reason: 'TOOL_DEFERRED',
    message: '',
    usage: NO_USAGE,
    attempt: 1,
    spared: 1,
    at: new Date(),
  } as const
  const parked = { reason: 'approval', until, approvalId: approval } as const
  const answer = await store.retry(id, fence, { ...retry, parked })
  if (answer.kind !== 'parked') throw new Error(answer.kind)
  return { id, approval }
}

const typesOf = async (id: string): Promise<string[]> =>
  (await domain.log.readAfter(id, 0, 1e6)).events.map(({ type }) => type)
const count = (types: readonly string[], pattern: RegExp): number => types.filter((type) => pattern.test(type)).length
async function sweep(): Promise<void> {
  await keys.del('{cc}:lock:sweep')
  await sweepExecutions(domain)
}

void t.test('deciders, a cancel and the end of its time at once: one of them counts', async (t) => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const [isOver, fails] = [random.between(0, 2) === 1, random.between(0, 2) === 1]
    const { id, approval } = await park({ timeoutMs: isOver ? 1 : HOUR_MS, fails })
    t.match(await store.getApprovals([approval]), [{ status: 'pending', heldBecause: undefined, parkedAt: 1 }])
    const decider = (decision: 'allow' | 'deny') => () => decideApproval(domain, approval, { decision }, caller)
    const acts = [
      decider('allow'),
      decider('deny'),
      () => cancelExecution(domain, id, caller),
      ...(isOver ? [() => settleParked(domain, id), () => settleParked(domain, id)] : []),
    ]
    const chosen = random.shuffle(acts).slice(0, random.between(2, acts.length + 1))
    await Promise.allSettled(chosen.map((act) => act()))
    if ((await store.get(id))?.state === 'waiting_approval') await sweep()
    const [record, [closed], types] = [await store.get(id), await store.getApprovals([approval]), await typesOf(id)]
    const state = record?.state ?? 'missing'
    t.ok(['queued', 'cancelled', 'failed'].includes(state), `${state}: ${types.join()}`)
    t.equal(count(types, /^approval\.(decided|expired|withdrawn)$/), 1, types.join())
    t.equal(count(types, /unparked/), state === 'queued' ? 1 : count(types, /unparked/), types.join())
    t.ok(count(types, /unparked/) <= 1)
    t.equal(count(types, /finished/), state === 'queued' ? 0 : 1, types.join())
    t.not(closed?.status, 'pending')
    if (state === 'failed') t.equal(closed?.status, 'expired')
    if (state === 'queued') {
      const decided = await findDecided(store, { id, attempt: 1 })
      t.equal(decided?.status, closed?.status, 'the next attempt goes by it')
      t.equal(await findDecided(store, { id, attempt: 2 }), undefined, 'and no later one')
      await cancelExecution(domain, id, caller)
    }
    t.equal(await keys.zcard('{cc}:resting:approval'), 0)
    t.equal(await keys.zcard('{cc}:open-approvals'), 0)
  }
})

void t.test('the same decision again changes nothing, and nobody decides on what continues', async (t) => {
  const { id, approval } = await park()
  const allow = { decision: 'allow' } as const
  t.match(await decideApproval(domain, approval, allow, caller), { status: 'allowed' })
  t.match(await decideApproval(domain, approval, allow, caller), { status: 'allowed' })
  await t.rejects(decideApproval(domain, approval, { decision: 'deny' }, caller), { code: 'APPROVAL_CLOSED' })
  t.match((await typesOf(id)).slice(-3), ['execution.parked', 'approval.decided', 'execution.unparked'])
  await cancelExecution(domain, id, caller)
})

void t.test('an API of an older version decides, and the sweep continues what it knew nothing of', async (t) => {
  const { id, approval } = await park()
  const script = await readFile(join(FIXTURES, 'upgrade/decide-approval-06a5e16.lua'), 'utf8')
  const decision = {
    id: approval,
    status: 'allowed',
    decision: '{"decision":"allow"}',
    digest: 'd',
    by: 'old',
    byId: 'o',
  }
  t.same(await keys.eval(script, 1, '{cc}', JSON.stringify(decision)), ['decided'])
  t.match(await store.get(id), { state: 'waiting_approval', openApprovals: [] })
  await sweep()
  t.match(await store.get(id), { state: 'queued' })
  t.match((await typesOf(id)).slice(-3), ['execution.parked', 'approval.decided', 'execution.unparked'])
  await cancelExecution(domain, id, caller)
})

void t.test('what is parked costs Redis 12 KB at most beside its log', async (t) => {
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await keys.info('memory'))?.[1])
  const ids = [(await park()).id]
  const before = await used()
  for (let count = 0; count < 200; count += 1) ids.push((await park()).id)
  const whole = (await used()) - before
  const logs = await Promise.all(ids.slice(1).map((id) => keys.memory('USAGE', `{cc}:events:${id}`)))
  const each = (whole - logs.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)) / 200
  t.ok(each > 0 && each < 12_000, `${Math.round(each)} bytes`)
  t.comment(`${Math.round(each)} bytes each`)
  for (const id of ids) await cancelExecution(domain, id, caller)
})

void t.test('a worker of an older version leaves what is parked alone, and ends what was decided on', async (t) => {
  const older = await openOlderWorker(keys)
  const { id, approval } = await park()
  t.notOk((await older.listAbandoned()).includes(id))
  for (const claim of [1, 2]) t.same(await older.claim(id, claim), ['refused', 'waiting_approval'])
  await decideApproval(domain, approval, { decision: 'allow' }, caller)
  const claim = (await store.get(id))?.claim ?? 0
  const [kind, fence = ''] = await older.claim(id, claim)
  t.equal(kind, 'claimed')
  t.match(await older.conclude(id, fence), ['refused', 'starting'], 'it does not end what it has not begun')
  await startRecord(store, id, fence, { simulated: false })
  t.match(await older.conclude(id, fence), ['concluded'])
  t.match(await store.get(id), { state: 'succeeded', openApprovals: [], outcome: { result: 'done' } })
  t.match(await store.getApprovals([approval]), [{ status: 'allowed' }])
  for (const index of ['resting:approval', 'open-approvals', 'leases'])
    t.equal(await keys.zcard(`{cc}:${index}`), 0, `nothing is left in ${index}`)
})
