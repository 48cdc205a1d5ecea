// Turns between the owners of executions, and how many each may have at work: the store by itself, on a real Redis.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { createLogger } from '../../src/platform/logger.js'
import { readConfig } from '../../src/platform/config.js'
import { createOutlook, showExecutions } from '../../src/executions/read/expected-start.js'
import { toFields } from '../../src/tokens/stored-token.js'
import { mintToken } from '../../src/tokens/token-id.js'
import { createTokenStore } from '../../src/tokens/token-store.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { openTestRedis } from '../support/redis.js'
import { startRecord } from '../support/start-record.js'

const redis = await openTestRedis(t)
const LEASE_MS = 60_000

/** A store with a prefix of its own, whose executions are claimed by hand. */
async function openScene(test: Test) {
  const lifetime = new Lifetime()
  test.teardown(() => lifetime.close())
  const prefix = `cc-${randomUUID()}`
  const config = { ...readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' }), prefix }
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  const { store } = domain
  let created = Date.now() - 60_000
  const submit = async (owner: string, more: Partial<NewRecord> = {}): Promise<string> => {
    const id = randomUUID()
    created += 1
    const record: NewRecord = {
      id,
      owner,
      request: { prompt: 'x' },
      requestDigest: 'digest',
      priority: 'normal',
      createdAt: created,
      workspace: id,
      metadata: {},
      simulated: true,
      ...more,
    }
    await store.create(record, 1_000_000)
    return id
  }
  const take = (id: string, claim = 1, worker = 'worker') => store.claim(id, claim, worker, LEASE_MS, 'default')
  /** Whom the job of this execution was used for. */
  const claim = async (id: string): Promise<string> => {
    const answer = await take(id)
    return answer.kind === 'claimed' ? answer.executionId : answer.kind
  }
  const finish = async (id: string) => {
    const fence = (await domain.redis.hget(`{${prefix}}:log:${id}`, 'fence')) ?? ''
    return store.conclude(id, fence, {
      outcome: { status: 'cancelled', code: 'CANCELLED', message: '' },
      usage: NO_USAGE,
      attempt: 0,
      finishedAt: new Date(),
    })
  }
  const tokens = createTokenStore(domain.redis, { prefix, maxTokens: 100 })
  const limit = (owner: string, most: number) => tokens.limitConfigured({ [owner]: most })
  return { ...domain, submit, take, claim, finish, limit, tokens, root: `{${prefix}}` }
}

void t.test('one that has many waiting delays another by one at most, and each keeps its own order', async (t) => {
  const { submit, claim, take, store } = await openScene(t)
  const many: string[] = []
  for (let count = 0; count < 50; count += 1) many.push(await submit('many'))
  t.equal(await claim(many[0] ?? ''), many[0])
  const single = await submit('single')
  const pair = [await submit('pair'), await submit('pair')]
  const positions = async (ids: readonly string[]) => (await store.getMany(ids)).map(({ position }) => position)
  const shown = [single, ...pair, ...many.slice(1, 4)]
  const expected = await positions(shown)
  const order: string[] = []
  for (const id of many.slice(1)) order.push(await claim(id))
  t.ok(order.indexOf(single) <= 2, 'the single one is among the next')
  t.same(
    shown.map((id) => order.indexOf(id) + 1),
    expected,
    'the position told is the turn that came',
  )
  t.ok(order.indexOf(pair[0] ?? '') < order.indexOf(pair[1] ?? ''), 'in the order of its owner')
  t.same(
    order.filter((id) => many.includes(id)),
    many.slice(1, 47),
    'the others follow in theirs',
  )
  const rest: string[] = []
  for (const id of [single, ...pair]) rest.push(await claim(id))
  t.same(rest, many.slice(47), 'a job whose own execution was taken counts for the next')
  t.match(await take(single, 2), { kind: 'refused' }, 'and one too many for nobody')
})

void t.test('a priority goes before every turn, and turns are counted within each', async (t) => {
  const { submit, claim, store } = await openScene(t)
  const normal = [await submit('a'), await submit('a'), await submit('b')]
  const high = [await submit('a', { priority: 'high' }), await submit('a', { priority: 'high' })]
  const low = await submit('c', { priority: 'low' })
  t.same(
    (await store.getMany([...high, ...normal, low])).map(({ position }) => position),
    [1, 2, 3, 5, 4, 6],
  )
  const order: string[] = []
  for (const id of [low, ...normal, ...high]) order.push(await claim(id))
  t.same(order, [...high, normal[0], normal[2], normal[1], low])
})

void t.test('whoever comes back for each single run saves up no turns, nor does a newcomer', async (t) => {
  const { submit, claim } = await openScene(t)
  const many: string[] = []
  for (let count = 0; count < 24; count += 1) many.push(await submit('z-many'))
  const turns: string[] = []
  let again = await submit('a-again')
  for (const job of many.slice(0, 10)) {
    const id = await claim(job)
    turns.push(id === again ? 'again' : 'many')
    if (id === again) again = await submit('a-again')
  }
  const late: string[] = []
  for (let count = 0; count < 6; count += 1) late.push(await submit('late'))
  for (const job of many.slice(10, 22)) {
    const id = await claim(job)
    turns.push(id === again ? 'again' : late.includes(id) ? 'late' : 'many')
    if (id === again) again = await submit('a-again')
  }
  for (let index = 2; index < turns.length; index += 1)
    t.notOk(new Set(turns.slice(index - 2, index + 1)).size === 1, `three turns in a row: ${turns.join(' ')}`)
})

void t.test('a claim that is sent again is one claim, also where it took another execution', async (t) => {
  const { submit, take, claim } = await openScene(t)
  const first = await submit('a')
  await claim(first)
  const [second, other] = [await submit('a'), await submit('b')]
  const answers = [await take(second), await take(second)]
  t.match(answers, [
    { kind: 'claimed', executionId: other },
    { kind: 'claimed', executionId: other },
  ])
  // Safe: both are claims.
  t.equal(new Set(answers.map((answer) => (answer as { fence: string }).fence)).size, 1, 'under one fence')
  t.equal(await claim(other), second, 'its own job takes the one that was passed over')
})

void t.test('what a worker cannot take is left for others, and keeps nobody behind it waiting', async (t) => {
  const { submit, store } = await openScene(t)
  const locked = await submit('a', { request: { prompt: 'x', sandbox: 'locked' } })
  const plain = await submit('b')
  const offer = (highestSandbox: number) => [{ name: 'default', weight: 1, highestSandbox }]
  const claim = (id: string) => store.claim(id, 1, 'worker', LEASE_MS, offer(0))
  t.match(await claim(locked), { kind: 'unsuited' }, 'its job waits for a worker that can')
  t.match(await claim(plain), { kind: 'claimed', executionId: plain })
  t.match(await claim(plain), { kind: 'claimed', executionId: plain }, 'sent again')
  t.match(await store.claim(locked, 1, 'another', LEASE_MS, offer(2)), { kind: 'claimed', executionId: locked })
})

void t.test('an owner has no more at work than it may, and the next begins with each end', async (t) => {
  const { submit, claim, finish, limit, store, redis: keys, root } = await openScene(t)
  await limit('few', 2)
  const few: string[] = []
  for (let count = 0; count < 5; count += 1) few.push(await submit('few'))
  const other = await submit('other')
  t.same([await claim(few[0] ?? ''), await claim(few[1] ?? '')], [few[0], other], 'turn about')
  t.equal(await claim(few[2] ?? ''), few[2] === undefined ? '' : few[1], 'the second of its two')
  t.equal(await claim(few[3] ?? ''), 'refused', 'a third is not taken')
  t.match(await store.listDue(10), { due: 0, ids: [] }, 'and nothing is missed meanwhile')
  const ended = await finish(few[0] ?? '')
  t.match(ended, { kind: 'concluded', ready: [{ executionId: few[2], claim: 2 }] }, 'an end calls the next')
  t.match(await store.claim(few[2] ?? '', 2, 'worker', LEASE_MS, 'default'), { executionId: few[2] })
  // As a worker of an older version would end it.
  await keys.zrem(`${root}:leases`, few[1] ?? '')
  t.match(await store.listDue(10), { due: 1, ids: [few[3]] }, 'what has no lease is at work no more')
})

void t.test('a higher limit calls what waits, and none calls all of it', async (t) => {
  const { submit, claim, limit, store } = await openScene(t)
  await limit('few', 1)
  const few: string[] = []
  for (let count = 0; count < 6; count += 1) few.push(await submit('few', count === 5 ? { priority: 'high' } : {}))
  const [first = '', second, third, fourth, fifth, high] = few
  t.equal(await claim(first), high)
  for (const id of few.slice(1)) t.equal(await claim(id), 'refused', 'its job is used up')
  t.same(await store.callWaiting('few', 9), [], 'its limit is what it was')
  await limit('few', 3)
  const ids = async (most: number) => (await store.callWaiting('few', most)).map(({ executionId }) => executionId)
  t.same(await ids(9), [first, second])
  t.same(await ids(1), [first], 'no more than asked for')
  await limit('few', 0)
  t.same(await ids(9), [first, second, third, fourth, fifth])
  t.same(await store.callWaiting('nobody', 9), [])
})

void t.test('who has to wait for another attempt makes room for the next', async (t) => {
  const { submit, claim, limit, store, redis: keys, root } = await openScene(t)
  await limit('few', 1)
  const [first, second] = [await submit('few'), await submit('few')]
  t.equal(await claim(first), first)
  const fence = (await keys.hget(`${root}:log:${first}`, 'fence')) ?? ''
  const retry = {
    reason: 'CLAUDE_RATE_LIMITED',
    message: '',
    usage: NO_USAGE,
    attempt: 0,
    spared: 0,
    at: new Date(),
  } as const
  const more = { failedStarts: 1, paidBy: undefined, queueDeadline: undefined }
  const answer = await store.retry(first, fence, { ...retry, ...more, notBefore: new Date(Date.now() + 3_600_000) })
  t.match(answer, { kind: 'retrying', others: [{ executionId: second, claim: 2 }] })
})

void t.test('places and expected starts reckon with what a token may have at work', async (t) => {
  const scene = await openScene(t)
  const { submit, claim, limit, store } = scene
  await limit('few', 2)
  const [first, ...few] = [await submit('few'), await submit('few'), await submit('few'), await submit('few')]
  const high = await submit('few', { priority: 'high' })
  t.equal(await claim(first), high)
  const other = [await submit('other'), await submit('other'), await submit('other')]
  const shown = await showExecutions(
    { outlook: createOutlook({ ...scene, workers: { ...scene.workers, list: async () => [] } }) },
    await store.getMany([first, ...few, ...other]),
  )
  t.same(
    shown.map(({ position, waitingFor }) => [position, waitingFor]),
    [
      [1, undefined],
      [3, 'token'],
      [5, 'token'],
      [7, 'token'],
      [2, undefined],
      [3, undefined],
      [4, undefined],
    ],
    'one of the four may start, so the others come before the rest',
  )
  t.same(
    [await claim(few[0] ?? ''), await claim(few[1] ?? ''), await claim(few[2] ?? ''), await claim(other[0] ?? '')],
    [first, ...other],
    'as it came',
  )
  t.match(await store.listDue(10), { due: 0, ids: [] })
  await limit('few', 3)
  await submit('few', { priority: 'high' })
  t.match(await store.listDue(10), { due: 1 }, 'what it may have is counted once, not for each priority')
})

void t.test('the limit of a token stays with what it has submitted, and goes with the last of that', async (t) => {
  const { submit, claim, finish, tokens, store, redis: keys, root } = await openScene(t)
  const { id } = mintToken()
  const more = { sha256: '00', createdAt: Date.now(), createdBy: 'admin' }
  const fields = toFields({ name: 'few', scopes: ['execute'], maxConcurrent: 1 }, more)
  t.same(await tokens.create({ id, fields, key: undefined, digest: '' }), ['created'])
  const [first, second] = [await submit(id), await submit(id)]
  const limits = () => keys.hgetall(`${root}:owner-limits`)
  t.same(await limits(), { [id]: '1' })
  await tokens.change(id, { maxConcurrent: '2' }, [])
  t.same(await limits(), { [id]: '2' })
  await tokens.change(id, {}, ['maxConcurrent'])
  t.same(await limits(), {})
  await tokens.change(id, { maxConcurrent: '1' }, [])
  t.ok(await tokens.remove(id))
  t.notOk(await tokens.change(id, { name: 'again', sha256: '00' }, []), 'a change does not bring it back')
  t.equal(await claim(first), first)
  t.equal(await claim(second), 'refused', 'a revocation lets nothing loose')
  for (const execution of [first, second]) {
    if (execution === second) t.equal((await store.claim(second, 2, 'worker', LEASE_MS, 'default')).kind, 'claimed')
    await finish(execution)
    t.same(await limits(), { [id]: '1' })
    if (execution === first) await store.delete(execution, id)
    // As its time would end.
    else await keys.del(`${root}:execution:${execution}`)
  }
  for (let round = 0; round < 2; round += 1) await store.trimIndexes(10)
  t.same(await limits(), {})
  t.equal(await keys.sismember(`${root}:owners`, id), 0, 'nor is it looked for any more')
})

void t.test('the place of a run whose worker died is given on, also where its token was revoked', async (t) => {
  const scene = await openScene(t)
  const { submit, claim, tokens, store, redis: keys, root } = scene
  const { id } = mintToken()
  const more = { sha256: '00', createdAt: Date.now(), createdBy: 'admin' }
  const fields = toFields({ name: 'few', scopes: ['execute'], maxConcurrent: 1 }, more)
  await tokens.create({ id, fields, key: undefined, digest: '' })
  const [first, second] = [await submit(id), await submit(id)]
  t.equal(await claim(first), first)
  await startRecord(store, first, (await keys.hget(`${root}:log:${first}`, 'fence')) ?? '')
  t.ok(await tokens.remove(id))
  t.equal(await claim(second), 'refused')
  await keys.zadd(`${root}:leases`, 'XX', 1, first)
  await sweepExecutions(scene)
  t.match(await store.get(first), { state: 'failed', outcome: { code: 'WORKER_LOST' } })
  t.equal((await store.claim(second, 2, 'worker', LEASE_MS, 'default')).kind, 'claimed')
  t.same(await keys.smembers(`${root}:active:${id}`), [second])
})

void t.test('what an older version has queued, or has taken out, is as good as any other', async (t) => {
  const { submit, claim, store, redis: keys, root } = await openScene(t)
  const [old, taken, next] = [await submit('a'), await submit('b'), await submit('b')]
  await keys.zrem(`${root}:line:1:a`, old)
  await keys.zrem(`${root}:turns:1`, 'a')
  await keys.zrem(`${root}:waiting`, taken)
  await keys.hset(`${root}:execution:${taken}`, 'state', 'succeeded')
  t.match(await store.listDue(10), { due: 3 }, 'the sweep puts it into a line')
  t.same([await claim(next), await claim(old)], [old, next], 'nobody claims what is not in the queue any more')
  t.equal(await claim(taken), 'refused')
})

void t.test('a sweep makes up for jobs that are missing, and for no others', async (t) => {
  const scene = await openScene(t)
  const { submit, claim, queue, store } = scene
  const [first, second, third] = [await submit('a'), await submit('a'), await submit('b')]
  for (const executionId of [first, second]) await queue.enqueue({ executionId, claim: 1 }, 'normal')
  await sweepExecutions(scene)
  t.equal(await queue.countJobs(), 3, 'one was missing')
  t.match(await store.get(third), { claim: 2 }, 'that of the one without a job')
  await sweepExecutions(scene)
  t.equal(await queue.countJobs(), 3)
  await claim(first)
  await queue.remove({ executionId: first, claim: 1 })
  await sweepExecutions(scene)
  t.equal(await queue.countJobs(), 2, 'two wait, and two jobs are on their way')
})

void t.test('whom a job was used for is forgotten with the start, however that goes', async (t) => {
  const { submit, claim, finish, store, redis, root } = await openScene(t)
  const fenceOf = async (id: string) => (await redis.hget(`${root}:log:${id}`, 'fence')) ?? ''
  const started = (id: string, fence: string) => startRecord(store, id, fence)
  const requeued = (id: string, fence: string) => store.requeue(id, fence, 2)
  for (const [way, leave] of Object.entries({ started, requeued, concluded: finish })) {
    const [asked, next] = [await submit(`${way} many`), await submit(`${way} single`)]
    const later = await submit(`${way} many`)
    await claim(asked)
    t.equal(await claim(later), next, 'its job counts for whoever is due')
    t.equal(await redis.get(`${root}:job:${later}-1`), next)
    await leave(next, await fenceOf(next))
    t.equal(await redis.exists(`${root}:job:${later}-1`), 0, way)
    for (const id of [asked, next, later]) await finish(id)
  }
})
