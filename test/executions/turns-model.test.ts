// Turns, limits and their bookkeeping under anything that may come in any order: seeded walks through the store.
import { randomBytes, randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import type { NewRecord, ReadyExecution } from '../../src/executions/store/transitions.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { toFields } from '../../src/tokens/stored-token.js'
import { mintToken } from '../../src/tokens/token-id.js'
import { createTokenStore } from '../../src/tokens/token-store.js'
import { openRandom } from '../faults/random.js'
import { openTestRedis } from '../support/redis.js'

const [WALKS, STEPS] = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? [10, 400] : [2, 150]
const seed = process.env['CC_EXECUTOR_FAULT_SEED'] ?? randomBytes(4).toString('hex')
t.comment(`seed ${seed}; again with CC_EXECUTOR_FAULT_SEED=${seed}`)

const server = await openTestRedis(t)
const PRIORITIES = ['high', 'normal', 'normal', 'low'] as const
const OUTCOME = { status: 'cancelled', code: 'CANCELLED', message: '' } as const

interface Held {
  readonly id: string
  readonly fence: string
  readonly owner: string
}

async function walk(t: Test, name: string) {
  const random = openRandom(`${seed}/${name}`)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const prefix = `walk-${name}`
  const root = `{${prefix}}`
  const config = { ...readConfig({ CC_EXECUTOR_DATA_DIR: server.directory, LOG_LEVEL: 'silent' }), prefix }
  const logger = createLogger('silent', 'api')
  const { store, redis } = openDomain({ config, redisUrl: server.url, logger, lifetime }, 'keeper')
  const tokens = createTokenStore(redis, { prefix, maxTokens: 10 })
  const limits = new Map<string, number>()
  const owners = ['plain', ...[1, 2].map(() => mintToken().id)]
  for (const id of owners.slice(1)) {
    const fields = toFields({ name: 'x', scopes: ['execute'] }, { sha256: '00', createdAt: 0, createdBy: 'admin' })
    await tokens.create({ id, fields, key: undefined, digest: '' })
  }
  const revoked = new Set<string>()
  const ownerOf = new Map<string, string>()
  const jobs: ReadyExecution[] = []
  const held: Held[] = []

  async function submit(): Promise<void> {
    const [id, owner, priority] = [randomUUID(), random.pick(owners), random.pick(PRIORITIES)]
    const request = { prompt: 'x' }
    const record: NewRecord = {
      id,
      owner,
      request,
      requestDigest: 'digest',
      priority,
      createdAt: Date.now(),
      workspace: id,
      metadata: {},
      simulated: true,
    }
    const { kind } = await store.create(record, 1_000)
    t.equal(kind, revoked.has(owner) ? 'withdrawn' : 'created')
    if (kind !== 'created') return
    ownerOf.set(id, owner)
    // Some jobs are lost on their way.
    if (random.between(0, 8) > 0) jobs.push({ executionId: id, claim: 1, priority })
  }

  async function claim(): Promise<void> {
    const [job] = jobs.splice(random.between(0, jobs.length), 1)
    if (!job) return
    const owner = (id: string): string => ownerOf.get(id) ?? ''
    const answer = await store.claim(job.executionId, job.claim, 'worker', 600_000, 'default')
    if (answer.kind !== 'claimed') return
    held.push({ id: answer.executionId, fence: answer.fence, owner: owner(answer.executionId) })
    const atWork = held.filter((one) => one.owner === owner(answer.executionId)).length
    const limit = limits.get(owner(answer.executionId))
    t.ok(limit === undefined || atWork <= limit, `${atWork} at work of ${limit}`)
  }

  const takeHeld = (): Held | undefined => held.splice(random.between(0, held.length), 1)[0]

  async function finish(): Promise<void> {
    const one = takeHeld()
    if (!one) return
    const ending = { outcome: OUTCOME, usage: NO_USAGE, attempt: 0, finishedAt: new Date() }
    const answer = await store.conclude(one.id, one.fence, ending)
    t.equal(answer.kind, 'concluded')
    if (answer.kind === 'concluded') jobs.push(...answer.ready)
  }

  async function giveBack(): Promise<void> {
    const one = takeHeld()
    if (!one) return
    const notBefore = random.between(0, 2) === 0 ? undefined : new Date(Date.now() - 1)
    const answer = await store.retry(one.id, one.fence, {
      reason: 'WORKER_LOST',
      message: '',
      usage: NO_USAGE,
      attempt: 0,
      spared: 0,
      failedStarts: 1,
      at: new Date(),
      paidBy: undefined,
      queueDeadline: undefined,
      notBefore,
    })
    if (answer.kind === 'retrying') jobs.push(...(notBefore ? answer.others : [answer.ready]))
  }

  /** Its worker died: the lease is over. */
  async function lose(): Promise<void> {
    const one = takeHeld()
    if (!one) return
    await redis.zadd(`${root}:leases`, 'XX', '1', one.id)
    const answer = await store.requeue(one.id, undefined, 1_000)
    t.equal(answer.kind, 'requeued')
    if (answer.kind === 'requeued') jobs.push(answer.ready)
  }

  async function changeLimit(): Promise<void> {
    const owner = random.pick(owners.slice(1))
    const most = random.between(0, 4)
    if (revoked.has(owner)) return
    if (most === 0) await tokens.change(owner, {}, ['maxConcurrent'])
    else await tokens.change(owner, { maxConcurrent: String(most) }, [])
    if (most === 0) limits.delete(owner)
    else limits.set(owner, most)
    jobs.push(...(await store.callWaiting(owner, 100)))
  }

  async function revoke(): Promise<void> {
    const owner = owners[2] ?? ''
    const answers = await Promise.all([tokens.remove(owner), tokens.remove(owner)])
    t.same(answers.toSorted(), [false, true], 'one of two has revoked it')
    revoked.add(owner)
  }

  /** As the sweep does it. */
  async function repair(): Promise<void> {
    for (let woken = await store.wakeDue(); woken; woken = await store.wakeDue()) jobs.push(woken)
    const { due, ids } = await store.listDue(1_000)
    t.equal(ids.length, due)
    for (const record of await store.getMany(ids)) {
      if (jobs.some(({ executionId, claim: own }) => executionId === record.id && own === record.claim)) continue
      const again = await store.reclaim(record.id, record.claim)
      if (again !== undefined) jobs.push({ executionId: record.id, claim: again, priority: record.priority })
    }
  }

  async function checkBooks(): Promise<void> {
    for (const owner of owners) {
      const active = await redis.smembers(`${root}:active:${owner}`)
      const known = held.filter((one) => one.owner === owner).map(({ id }) => id)
      t.same(active.toSorted(), known.toSorted(), 'who is at work is known')
    }
    const waiting = await redis.zrange(`${root}:waiting`, '0', '-1')
    const lines: string[] = []
    for (const band of [0, 1, 2])
      for (const owner of owners) {
        const line = await redis.zrange(`${root}:line:${band}:${owner}`, '0', '-1')
        const hasTurn = (await redis.zscore(`${root}:turns:${band}`, owner)) !== null
        t.equal(hasTurn, line.length > 0, 'a turn for whoever has somebody waiting, and for nobody else')
        lines.push(...line)
      }
    t.same(lines.toSorted(), waiting.toSorted(), 'each that waits stands in one line')
    const positions = (await store.getMany(waiting)).map(({ position }) => position ?? 0)
    t.ok(positions.every((position) => position >= 1 && position <= waiting.length))
    if (limits.size === 0)
      t.equal(new Set(positions).size, waiting.length, 'without limits each place is one execution’s')
  }

  const acts = [submit, submit, submit, claim, claim, claim, finish, finish, giveBack, lose, changeLimit, repair]
  for (let step = 0; step < STEPS; step += 1) {
    await (step === STEPS / 2 ? revoke : random.pick(acts))()
    if (step % 10 === 0) await checkBooks()
  }
  // All is well again: everything comes to its end.
  for (let rounds = 0; rounds < 10_000 && (await redis.exists(`${root}:waiting`, `${root}:delayed`)) > 0; rounds += 1) {
    if (jobs.length === 0) await repair()
    for (; jobs.length > 0;) await claim()
    for (; held.length > 0;) await finish()
  }
  for (; held.length > 0;) await finish()
  for (const id of ownerOf.keys()) t.equal((await store.get(id))?.state, 'cancelled', 'it has come to its end')
  await checkBooks()
  for (const [id, owner] of ownerOf) t.equal((await store.delete(id, owner)).kind, 'deleted')
  const left = await redis.keys(`${root}:*`)
  const isKept = /:(?:token.*|owner-limits|fence|executions:meta|history:.*|usage:.*|budget:.*)$/
  const hasEnd = /:(?:served:\d|turn-clock:\d|job:.*)$/
  t.same(
    left.filter((key) => !isKept.test(key) && !hasEnd.test(key)),
    [],
    'nothing is left',
  )
  for (const key of left) if (hasEnd.test(key)) t.ok((await redis.pttl(key)) > 0, `${key} has an end`)
  const stays = await redis.hkeys(`${root}:owner-limits`)
  t.same(
    stays.filter((owner) => revoked.has(owner)),
    [],
    'nor the limit of a token that is gone',
  )
}

void t.test('whatever comes in whatever order: limits hold, books are right, nobody is forgotten', async (t) => {
  for (let count = 0; count < WALKS; count += 1) await walk(t, String(count))
})
