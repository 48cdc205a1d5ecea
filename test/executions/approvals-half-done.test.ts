// Approvals in Redis, without a CLI: who decides first, what a dead worker leaves behind, and what is left of it.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createObservation } from '../../src/claude/stream/observation.js'
import { HeldRuns } from '../../src/executions/claim/held-runs.js'
import { continuationPrompt } from '../../src/claude/command/continuation-prompt.js'
import { decideApproval } from '../../src/executions/control/decide-approval.js'
import { listApprovals } from '../../src/executions/read/find-approvals.js'
import { digestDecision, type AskedApproval } from '../../src/executions/records/approval-record.js'
import { AttemptApprovals } from '../../src/executions/run/attempt-approvals.js'
import { AttemptStop } from '../../src/executions/run/attempt-stop.js'
import { NOTHING_ASKED, readApproved, readAskedCalls } from '../../src/executions/run/earlier-approvals.js'
import { RunClocks } from '../../src/executions/run/run-clocks.js'
import { expireApprovals } from '../../src/executions/sweep/expire-approvals.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { ApprovalDecision } from '../../src/protocol/approvals.js'
import type { Caller, Scope } from '../../src/protocol/caller.js'
import { openTestRedis } from '../support/redis.js'
import { putFirst, startRecord } from '../support/start-record.js'
import { until } from '../support/deadlines.js'

const redis = await openTestRedis(t)
const lifetime = new Lifetime()
t.teardown(() => lifetime.close())
const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
const { store, redis: keys, log } = domain

const LIMITS = { open: 2, all: 100 }
const HOUR_MS = 3_600_000
const ASKED: AskedApproval = {
  kind: 'tool',
  toolUseId: 'call-1',
  tool: 'Bash',
  input: { command: 'touch x' },
  inputSha256: '0'.repeat(64),
  suggestions: ['Bash(touch x)'],
  updates: [{ type: 'addRules', rules: [{ toolName: 'Bash', ruleContent: 'touch x' }], behavior: 'allow' }],
  attempt: 1,
}
const ALLOW: ApprovalDecision = { decision: 'allow' }
const DENY: ApprovalDecision = { decision: 'deny', message: 'no' }
const caller = (id: string, ...scopes: Scope[]): Caller => ({ id, name: id.toUpperCase(), scopes: new Set(scopes) })

async function running(more: { onWorkerLost?: 'continue'; owner?: string } = {}) {
  const id = randomUUID()
  const { owner = 'tester', onWorkerLost } = more
  const request = { prompt: 'x', ...(onWorkerLost && { onWorkerLost }) }
  await store.create(
    {
      id,
      owner,
      request,
      requestDigest: '0'.repeat(64),
      priority: 'normal',
      createdAt: Date.now(),
      workspace: id,
      metadata: {},
      simulated: true,
    },
    100,
  )
  await putFirst(keys, id)
  const answer = await store.claim(id, 1, 'worker', 600_000, 'default')
  if (answer.kind !== 'claimed') throw new Error(answer.kind)
  const { fence } = answer
  await startRecord(store, id, fence)
  const ask = (more: Partial<AskedApproval> = {}, timeoutMs = HOUR_MS, approvalId: string = randomUUID()) =>
    store
      .requestApproval(approvalId, { executionId: id, fence }, { ...ASKED, ...more }, timeoutMs, LIMITS)
      .then((answer) => ({ ...answer, id: approvalId }))
  return { id, fence, ask }
}
const decide = (id: string, decision: ApprovalDecision, by = 'tester') =>
  store
    .decideApproval(id, decision, digestDecision(decision), { id: by, name: by.toUpperCase() })
    .then(({ kind }) => kind)
const statusOf = async (id: string) => (await store.getApprovals([id]))[0]?.status
const lose = (id: string): Promise<unknown> => keys.zadd('{cc}:leases', 'XX', 1, id)
async function sweep(): Promise<void> {
  for (const lock of await keys.keys('{cc}:lock:*')) await keys.del(lock)
  await sweepExecutions(domain)
}
const typesOf = async (id: string): Promise<string[]> =>
  (await log.readAfter(id, 0, 1e6)).events.map(({ type }) => type).slice(2)
const expectClosed = (t: Test, id: string, status: string) =>
  t.rejects(decideApproval(domain, id, DENY, caller('tester', 'approve')), {
    code: 'APPROVAL_CLOSED',
    details: { approval: { id, status } },
  })

void t.test('of twenty deciders one counts; the same decision again is no other one', async (t) => {
  const { id, ask } = await running()
  const { id: approval } = await ask()
  t.match(await ask({}, HOUR_MS, approval), { kind: 'requested' }, 'asked again after a lost answer it is one')
  t.match(await store.get(id), { openApprovals: [approval], approvalCount: 1 })
  const deciders = Array.from({ length: 20 }, (_, index) => `t${index}`)
  const answers = await Promise.all(deciders.map((by, index) => decide(approval, index % 2 ? ALLOW : DENY, by)))
  t.equal(answers.filter((answer) => answer === 'decided').length, 1)
  const winner = answers.indexOf('decided')
  const decision = winner % 2 ? ALLOW : DENY
  t.equal(await decide(approval, { ...decision, appliesTo: 'call' }, `t${winner}`), 'same')
  t.equal(await decide(approval, decision, 'another'), 'closed')
  t.match(await store.getApprovals([approval]), [
    { decision, decidedById: `t${winner}`, decidedBy: `T${winner}`, status: winner % 2 ? 'allowed' : 'denied' },
  ])
  t.match(await store.get(id), { openApprovals: [] })
})

void t.test('a limit, a fence that is lost and a time that is over', async (t) => {
  const { id, fence, ask } = await running()
  const first = await ask()
  const second = await ask({}, 1)
  t.match(await ask(), { kind: 'full', limit: 2 })
  const isOver = async (): Promise<boolean> => (await store.listExpiredApprovals(10)).length > 0
  await until(isOver, 'its time is over')
  await expectClosed(t, second.id, 'expired')
  const third = await ask({}, 1)
  await until(isOver, 'its time is over')
  t.equal(await store.closeApproval(first.id, 'expired'), 'pending', 'before its time nobody ends it')
  await expireApprovals(domain, 10)
  t.equal(await statusOf(third.id), 'expired')
  t.match(await store.renew(id, fence, 600_000), { approvalsClosed: 2 }, 'its holder sees that there is something new')
  await keys.hset(`{cc}:log:${id}`, 'fence', 'another')
  t.match(await ask(), { kind: 'stale' })
  await expectClosed(t, first.id, 'withdrawn')
})

void t.test('a worker dies: what was decided is told, what was not is withdrawn, once', async (t) => {
  const lost = await running()
  const [open, allowed] = [await lost.ask(), await lost.ask({ toolUseId: 'call-2' })]
  await decide(allowed.id, { ...ALLOW, appliesTo: 'execution' })
  await lose(lost.id)
  await sweep()
  const events = ['approval.withdrawn', 'approval.decided', 'execution.finished']
  t.same((await typesOf(lost.id)).sort(), [...events].sort())
  t.equal((await typesOf(lost.id)).at(-1), 'execution.finished')
  t.match(await store.get(lost.id), { state: 'failed', outcome: { code: 'WORKER_LOST' }, openApprovals: [] })
  await expectClosed(t, open.id, 'withdrawn')
  const receipt = JSON.parse((await store.getReceipt(lost.id)) ?? '') as {
    approvals: object[]
    events: { count: number }
  }
  const byStatus = receipt.approvals.map((approval) => (approval as { status: string }).status).sort()
  t.same(byStatus, ['allowed', 'withdrawn'])
  t.equal(receipt.events.count, 5)
  await sweep()
  t.equal((await typesOf(lost.id)).length, 3, 'the second sweep changes nothing')

  const continued = await running({ onWorkerLost: 'continue' })
  const again = await continued.ask()
  await lose(continued.id)
  await sweep()
  t.same(await typesOf(continued.id), ['approval.withdrawn', 'execution.retrying'])
  t.match(await store.get(continued.id), { state: 'queued', openApprovals: [] })
  await expectClosed(t, again.id, 'withdrawn')
})

void t.test('the next attempt is told in full what was asked, and what was decided', async (t) => {
  const { id, ask } = await running()
  const call = (toolUseId: string) => ({ toolUseId, input: { command: `touch ${toolUseId}` } })
  const made = [await ask(call('undecided')), await ask(call('allowed'))]
  await decide(made[1]?.id ?? '', { decision: 'allow', appliesTo: 'execution' })
  const denied = await ask(call('denied'))
  await decide(denied.id, { decision: 'deny', message: 'not on a Friday' })
  const ran = await ask(call('ran'))
  await decide(ran.id, ALLOW)
  const asked = await readAskedCalls(store, { id, attempt: 1 }, { finishedCalls: new Map([['ran', 'ran']]) }, undefined)
  t.equal(asked.neverRan, 2)
  const prompt = continuationPrompt('WORKER_LOST', { openCalls: [], askedCalls: asked.calls })
  t.match(prompt, /were not run, and nobody has refused them[^]*touch undecided/)
  t.match(prompt, /whether they ran is not known[^]*touch allowed/)
  t.match(prompt, /were denied by a person[^]*touch denied[^]*not on a Friday/)
  t.notMatch(prompt, /touch ran/, 'of what the session tells itself nothing is said')
  t.same(await readAskedCalls(store, { id, attempt: 2 }, { finishedCalls: new Map() }, undefined), {
    ...NOTHING_ASKED,
    calls: [],
  })
  t.same(await readApproved(store, id), { rules: ['Bash(touch x)'], directories: [], mode: undefined })
})

void t.test('pages of all tokens with admin, of one’s own without; nothing is left of what is deleted', async (t) => {
  const before = await keys.keys('*approval*')
  const { id, fence, ask } = await running({ owner: 'somebody' })
  const ids = [await ask(), await ask()]
    .map((answer) => answer.id)
    .sort()
    .toReversed()
  const [own, admin, other] = [caller('somebody', 'read'), caller('root', 'read', 'admin'), caller('other', 'read')]
  const page = await listApprovals(domain, { limit: 1 }, own)
  t.match(page, { approvals: [{ id: ids[0] }], nextCursor: ids[0] })
  t.match(await listApprovals(domain, { limit: 1, cursor: page.nextCursor ?? '' }, own), {
    approvals: [{ id: ids[1] }],
    nextCursor: null,
  })
  t.same((await listApprovals(domain, {}, other)).approvals, [])
  t.equal((await listApprovals(domain, {}, admin)).approvals.filter(({ executionId }) => executionId === id).length, 2)
  await decide(ids[0] ?? '', DENY)
  t.match(await listApprovals(domain, { status: ['denied'] }, own), { approvals: [{ id: ids[0] }] })
  t.equal((await listApprovals(domain, { status: ['denied', 'pending'] }, own)).approvals.length, 2)
  const outcome = { status: 'failed', code: 'CLAUDE_EXITED' } as const
  const usage = (await store.get(id))?.usage
  if (!usage) throw new Error('no record')
  await store.conclude(id, fence, { outcome, usage, finishedAt: new Date(), attempt: 1 })
  t.match(await store.get(id), { state: 'running' }, 'who ends it must know what is pending')
  await store.closeApproval(ids[1] ?? '', 'withdrawn')
  await store.conclude(id, fence, { outcome, usage, finishedAt: new Date(), attempt: 1 })
  t.ok((await keys.pttl(`{cc}:approval:${ids[0]}`)) > 0, 'kept as long as its execution')
  await store.delete(id, 'somebody')
  const left = (await keys.keys('*approval*')).filter((name) => !before.includes(name))
  t.same(left, [])
})

void t.test(
  'the CLI is answered only once the log holds the decision, and by nobody whose claim is lost',
  async (t) => {
    const { id, fence } = await running()
    const written: string[] = []
    const journal = { isStale: false, waits: [] as Array<() => void> }
    const answers: string[] = []
    const stop = new AttemptStop(
      () => false,
      () => undefined,
    )
    const approvals = new AttemptApprovals({
      services: { store, config, logger: domain.logger, heldRuns: new HeldRuns(1) },
      executionId: id,
      owner: 'tester',
      fence,
      attempt: 1,
      run: { approvalTimeoutSeconds: 3_600, onApprovalTimeout: 'deny' },
      // Safe: of both nothing else is used.
      child: { stdin: { writable: true, write: (line: string) => answers.push(line) } } as never,
      journal: {
        get isStale() {
          return journal.isStale
        },
        write: async (events: ReadonlyArray<{ type: string }>) => void written.push(...events.map(({ type }) => type)),
        flushed: () => new Promise<void>((resolve) => journal.waits.push(resolve)),
      } as never,
      observation: createObservation(),
      decision: undefined,
      canKeep: true,
      isPaused: () => false,
      clocks: { pause: () => undefined, resume: () => undefined },
      stop,
      persist: (act) => act(),
    })
    async function ask(requestId: string): Promise<void> {
      const request = { subtype: 'can_use_tool', tool_name: 'Bash', tool_use_id: requestId, input: { command: 'x' } }
      const message = { type: 'control_request', request_id: requestId, request }
      t.equal(
        approvals.take(message, () => message),
        true,
      )
      approvals.proceed()
      let open: readonly string[] = []
      await until(async () => (open = (await store.get(id))?.openApprovals ?? []).length > 0, 'it is asked for')
      await decide(open[0] ?? '', ALLOW)
      const seen = journal.waits.length
      await until(async () => {
        approvals.noteClosed((await store.renew(id, fence, 600_000))?.approvalsClosed)
        return journal.waits.length > seen
      }, 'it is seen to be decided')
    }
    await ask('first')
    t.same([written, answers], [['approval.requested', 'approval.decided'], []], 'written, and not confirmed')
    journal.waits[0]?.()
    await until(() => answers.length > 0, 'it is answered')
    t.match(answers[0], /"request_id":"first".*"behavior":"allow"/)
    await ask('second')
    journal.isStale = true
    journal.waits[1]?.()
    // What follows of it is of this turn.
    await sleep(5)
    await approvals.close(() => Promise.resolve(true))
    t.equal(answers.length, 1, 'another one may hold the claim by now')
  },
)

void t.test('an approval of another token is not there', async (t) => {
  const { ask } = await running({ owner: 'somebody' })
  const { id } = await ask()
  const missing = { code: 'APPROVAL_NOT_FOUND' }
  await t.rejects(decideApproval(domain, id, DENY, caller('other', 'approve')), missing)
  await t.rejects(decideApproval(domain, id, DENY, { ...caller('somebody', 'admin'), executionId: 'another' }), missing)
  t.match(await decideApproval(domain, id, DENY, caller('root', 'admin')), { status: 'denied', decidedBy: 'ROOT' })
})

void t.test('the clocks of a run stand still while it waits for a person, paused or not', (t) => {
  const clocks = new RunClocks({ timeoutSeconds: 3_600 })
  clocks.begin(() => undefined)
  clocks.pause('approval')
  clocks.pause()
  const at = clocks.activeMs
  clocks.resume()
  const until = performance.now() + 5
  while (performance.now() < until);
  t.equal(clocks.activeMs, at, 'resumed, and still waiting')
  clocks.resume('approval')
  const later = performance.now() + 5
  while (performance.now() < later);
  t.ok(clocks.activeMs > at)
  clocks.close()
  t.end()
})
