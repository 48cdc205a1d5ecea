// What earlier runs took, and what is made of it: timeouts with their basis, and when a queued execution may be
// expected to start.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fingerprintsOf, normalizePrompt } from '../../src/history/fingerprint.js'
import { estimateTimeout, quantile } from '../../src/history/estimate-timeout.js'
import { outlookOf } from '../../src/history/queue-outlook.js'
import type { DurationSample, NewRecord } from '../../src/executions/store/transitions.js'
import { concludeExecution } from '../../src/executions/conclude/conclude-execution.js'
import { sweepExecutions } from '../../src/executions/sweep/sweep-executions.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestRedis } from '../support/redis.js'
import { openTestService } from '../support/service.js'
import { startRecord } from '../support/start-record.js'

void t.test('quantiles take a run that was cut off for one that takes longer', async (t) => {
  const ten = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  t.same([quantile(ten, 0.5), quantile(ten, 0.9), quantile([], 0.5), quantile([7], 0.9)], [5, 9, undefined, 7])
  t.equal(quantile([...ten, -0.5, -0.5, -0.5], 0.9), 9, 'one that was cut off early says little')
  t.equal(
    quantile([1, 1, 1, 1, 1, -5, -5, -5, -5, -5], 0.9),
    undefined,
    'half were cut off: nine of ten is beyond what was seen',
  )
  t.equal(quantile([1, 1, 1, 1, 1, -5, -5, -5, -5, -5], 0.5), 1)
  t.equal(quantile([-5, -5], 0.5), undefined)
})

void t.test('a timeout says what it is based on, and nothing is made up', async (t) => {
  const of = (...known: number[][]) => estimateTimeout([0, 1, 2, 3].map((level) => known[level] ?? []))
  const second = 1_000
  t.same(of(), { timeoutSeconds: 600, samples: 0, timedOut: 0, level: 'none', p50Seconds: null, p90Seconds: null })
  t.match(of([100 * second, 200 * second, 300 * second]), {
    timeoutSeconds: 630,
    samples: 3,
    level: 'prompt',
    p50Seconds: 200,
    p90Seconds: 300,
  })
  t.match(of([5 * second, 5 * second, 6 * second]), { timeoutSeconds: 60, level: 'prompt' }, 'never below a minute')
  t.match(of([5 * second]), { timeoutSeconds: 600, samples: 1, level: 'prompt' }, 'one run shortens nothing')
  t.match(
    of([5 * second], [5 * second, 5 * second, 5 * second]),
    { timeoutSeconds: 60, samples: 3, level: 'opening' },
    'the closest level with enough',
  )
  t.match(
    of([], [], [5 * second, 5 * second, 5 * second]),
    { timeoutSeconds: 600, samples: 3, level: 'model' },
    'that others are quick shortens nothing',
  )
  t.match(of([], [], [900 * second, 900 * second, 900 * second]), { timeoutSeconds: 1830, level: 'model' })
  t.match(
    of([-600 * second]),
    { timeoutSeconds: 1200, samples: 0, timedOut: 1, level: 'prompt', p50Seconds: null },
    'a timeout is no sample',
  )
  t.match(
    of([-600 * second, -1200 * second, -2400 * second, -3600 * second]),
    { timeoutSeconds: 3600, samples: 0, timedOut: 4 },
    'one that hangs gets an hour at most',
  )
  t.match(of([-7200 * second]), { timeoutSeconds: 7200 }, 'and not less than it had')
  t.match(of([2_000 * second], [], [], [second, second, second]), { timeoutSeconds: 4_030, level: 'all' })
  t.match(
    of([-600 * second], [], [], [second, second, second]),
    { timeoutSeconds: 1200, level: 'all', samples: 3 },
    'what was not enough is known, whatever others took',
  )
  t.match(
    of([...Array.from({ length: 50 }, () => 10 * second), -600 * second]),
    { timeoutSeconds: 60, samples: 50, timedOut: 1 },
    'a single hang among many',
  )
  t.match(of([80_000 * second, 80_000 * second, 80_000 * second]), { timeoutSeconds: 86_400 }, 'a day is the most')
})

void t.test('prompts of one template are alike, those of others are not, and nobody learns from another', async (t) => {
  const traits = {
    owner: 'a',
    prompt: 'Review the pull request 17 of 2026-11-22\n(0198f2aa-1)',
    model: 'haiku',
    effort: undefined,
    workspace: 'repo',
    tasks: 1,
  }
  const known = fingerprintsOf(traits)
  t.same(fingerprintsOf({ ...traits, prompt: ' review the  pull request 4711 of 2025-01-02 (deadbeef99)' }), known)
  const shared = (other: object): number =>
    fingerprintsOf({ ...traits, ...other }).filter((name) => known.includes(name)).length
  t.same(
    [
      { workspace: 'other' },
      { prompt: `${traits.prompt} at length` },
      { prompt: 'Something else' },
      { model: 'opus' },
      { tasks: 3 },
      { owner: 'b' },
    ].map(shared),
    [3, 3, 2, 1, 2, 0],
  )
})

void t.test('a prompt that looks like one long id takes no longer than another', { timeout: 600_000 }, async (t) => {
  t.equal(
    normalizePrompt('Fix 019aa6f2-7c1e-7a52, commit deadbee7 of feature-12, not facade-decade\nby 2026-11-29'),
    'fix #, commit # of feature-#, not facade-decade by #',
  )
  const before = process.cpuUsage()
  for (const part of ['a-', 'a', '-', 'a1-', 'ab-cdz ']) normalizePrompt(part.repeat(2_000_000 / part.length))
  t.ok(process.cpuUsage(before).user < 20_000_000, 'two million characters of each')
})

void t.test('the expected start follows from free places, running ones and what runs usually take', async (t) => {
  const now = 1_000_000
  const usual = [10_000, 10_000, 10_000]
  const starts = (outlook: ReturnType<typeof outlookOf>, ...positions: number[]) =>
    positions.map((position) => {
      const start = outlook.startOf(position)
      return start === undefined ? undefined : start - now
    })
  t.same(starts(outlookOf([], usual, now), 1), [undefined], 'no worker')
  t.same(
    starts(outlookOf(['free', 'free'], [], now), 1, 2, 3),
    [0, 0, undefined],
    'no history: only a free place is sure',
  )
  t.same(starts(outlookOf(['free', 'free'], usual, now), 1, 2, 3, 4, 5), [0, 0, 10_000, 10_000, 20_000])
  t.same(
    starts(outlookOf([{ since: now - 4_000 }, { since: now - 9_000 }], usual, now), 1, 2, 3),
    [1_000, 6_000, 11_000],
  )
  t.same(
    starts(outlookOf([{ since: now - 60_000 }, 'paused'], usual, now), 1),
    [undefined],
    'longer than any: nobody knows when it ends',
  )
  t.same(starts(outlookOf([{ since: now - 60_000 }, { since: now }], usual, now), 1, 2), [10_000, 20_000])
})

async function openStore(t: Test) {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
  const domain = openDomain({ config, redisUrl: redis.url, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  async function start(more: Partial<NewRecord> = {}) {
    const id = randomUUID()
    await domain.store.create(
      {
        id,
        owner: 'tester',
        request: { prompt: 'x' },
        requestDigest: 'd',
        priority: 'normal',
        createdAt: Date.now(),
        workspace: id,
        metadata: {},
        simulated: false,
        fingerprints: ['f'],
        ...more,
      },
      1_000,
    )
    const claim = await domain.store.claim(id, 1, 'worker', 60_000, 'default')
    if (claim.kind !== 'claimed') throw new Error(claim.kind)
    await startRecord(domain.store, id, claim.fence, { simulated: more.simulated ?? false })
    return { id, fence: claim.fence }
  }
  async function sample(durationSample: DurationSample, more: Partial<NewRecord> = {}) {
    const { id, fence } = await start(more)
    const conclude = () =>
      concludeExecution(
        domain,
        id,
        { kind: 'holder', fence },
        { outcome: { status: 'succeeded' }, attempt: 1, durationSample },
      )
    return { id, first: await conclude(), conclude }
  }
  return { ...domain, start, sample }
}

void t.test(
  'an end teaches once, a bound is no success, and simulated runs teach nothing about real ones',
  async (t) => {
    const { redis, history, store, start, sample, ...services } = await openStore(t)
    const { id, first, conclude } = await sample({ activeMs: 1_234.4, outcome: 'success' })
    t.same([first !== undefined, await conclude(), await conclude()], [true, undefined, undefined])
    t.same(await history.samples(['f'], false), [[1234]])
    t.same(await redis.hmget(`{cc}:execution:${id}`, 'fingerprints', 'activeMs', 'lesson'), [null, null, null])
    await sample({ activeMs: 5_000, outcome: 'bound' })
    await sample({ activeMs: 77, outcome: 'nothing' })
    await sample({ activeMs: 9, outcome: 'success' }, { simulated: true })
    t.same(await history.samples(['f', 'unknown'], false), [[-5_000, 1234], []])
    t.same(await history.samples(['f'], true), [[9]])
    t.same(await history.places(false), [77, 5_000, 1234], 'a place was taken in any case')

    const lost = await start()
    await redis.zadd('{cc}:leases', 'XX', 1, lost.id)
    const sweep = async () => {
      await redis.del('{cc}:lock:sweep')
      await sweepExecutions({ ...services, store, history })
    }
    await sweep()
    t.match(await store.get(lost.id), { state: 'failed', outcome: { code: 'WORKER_LOST' } })
    await sweep()
    t.same(
      [await history.samples(['f'], false), await history.places(false)],
      [[[-5_000, 1234]], [77, 5_000, 1234]],
      'who was lost teaches nothing, however often it is swept',
    )
  },
)

void t.test('what is kept is bounded, and goes', async (t) => {
  const { redis, history, sample } = await openStore(t)
  for (let index = 0; index < 105; index += 1)
    await sample({ activeMs: index, outcome: 'success' }, { fingerprints: ['busy'] })
  const [samples = []] = await history.samples(['busy'], false)
  t.same([samples.length, samples[0], samples.at(-1)], [100, 104, 5], 'the newest hundred')
  await redis.zadd(
    '{cc}:history:known:real:tester',
    ...Array.from({ length: 2_000 }, (_, index) => [Date.now() - 60_000 + index, `old-${index}`]).flat(),
  )
  await redis.lpush('{cc}:history:real:old-0', 1)
  await sample({ activeMs: 1, outcome: 'success' }, { fingerprints: ['newest'] })
  t.same(
    [
      await redis.zcard('{cc}:history:known:real:tester'),
      await redis.exists('{cc}:history:real:old-0'),
      await redis.exists('{cc}:history:real:busy'),
    ],
    [2_000, 0, 1],
    'what was taught longest ago makes room',
  )
  for (const key of await redis.keys('{cc}:history:*')) {
    if (!/old-/.test(key)) t.ok((await redis.pttl(key)) > 0, `${key} has an end`)
  }
})

void t.test(
  'auto is resolved at submission, holds for the run and is told with its basis; GET /estimates says it before',
  { timeout: 600_000 },
  async (t) => {
    const service = await openTestService(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '1' },
    })
    const init = { line: { type: 'system', subtype: 'init', session_id: 's' } }
    const prompt = (...steps: object[]): string =>
      JSON.stringify([
        init,
        ...steps,
        {
          line: {
            type: 'result',
            subtype: 'success',
            is_error: false,
            result: 'ok',
            num_turns: 1,
            usage: {},
            total_cost_usd: 0,
          },
        },
      ])
    const ask = async (text: string, more = '') =>
      (await service.call('GET', `/estimates?prompt=${encodeURIComponent(text)}${more}`)).body
    const quick = prompt()

    const none = { timeoutSeconds: 600, samples: 0, timedOut: 0, level: 'none', p50Seconds: null, p90Seconds: null }
    t.same(await ask(quick), none)
    t.match((await service.call('GET', '/queue')).body, { estimatedWaitSeconds: 0, estimateSamples: 0 })
    const first = await service.submit({ prompt: quick, timeoutSeconds: 'auto' })
    t.same(first.timeoutEstimate, none, 'the answer to the submission has it')
    t.equal(first.request.timeoutSeconds, 'auto')
    t.same((await service.until(first.id, 'execution.queued')).data, {
      ...(await service.until(first.id, 'execution.queued')).data,
      timeoutEstimate: none,
    })
    await service.finished(first.id)
    for (let count = 0; count < 2; count += 1)
      t.equal((await service.finished((await service.submit({ prompt: quick })).id)).status, 'succeeded')
    t.equal((await service.finished((await service.submit({ prompt: prompt({ exit: 1 }) })).id)).status, 'failed')
    const known = await ask(quick)
    t.match(known, { samples: 3, timedOut: 0, level: 'prompt' }, 'the failure is no sample')
    // A minute at least, and more only where this machine is very slow.
    t.ok(known.timeoutSeconds === 60 || known.timeoutSeconds <= 2 * known.p90Seconds + 60, JSON.stringify(known))
    t.ok(known.p50Seconds > 0 && known.p50Seconds <= known.p90Seconds, JSON.stringify(known))
    t.match(await ask(quick, '&workspace=other'), { level: 'opening', samples: 3 })
    t.match(await ask(quick, '&model=opus'), { level: 'all', samples: 3, timeoutSeconds: 600 })

    for (let count = 0; count < 3; count += 1) {
      const slow = await service.finished(
        (await service.submit({ prompt: `${prompt({ hang: true })} `, timeoutSeconds: 0.3 })).id,
      )
      t.match(slow, { status: 'timed_out', outcome: { code: 'TIMED_OUT' } })
    }
    t.match(await ask(prompt({ hang: true })), {
      timeoutSeconds: 600,
      samples: 0,
      timedOut: 3,
      level: 'prompt',
      p50Seconds: null,
      p90Seconds: null,
    })

    const redis = openRedis({ url: service.redis.url, logger: createLogger('silent', 'test'), role: 'keeper' })
    t.teardown(async () => closeRedis(redis))
    // One took a minute: what runs now does not outlast all that is known, however slow this machine is.
    await redis.lpush('{cc}:history:places:simulated', 60_000)
    const gate = join(service.directory, 'gate')
    const holder = await service.submit({ prompt: prompt({ file: gate }) })
    await service.until(holder.id, 'execution.started')
    const [next, later] = [await service.submit({ prompt: quick }), await service.submit({ prompt: quick })]
    t.ok(
      next.estimatedStartAt !== undefined &&
        later.estimatedStartAt !== undefined &&
        next.estimatedStartAt <= later.estimatedStartAt,
      `${next.estimatedStartAt} ${later.estimatedStartAt}`,
    )
    const listed = (await service.call('GET', '/executions?status=queued')).body.executions
    t.same(
      listed.map(({ estimatedStartAt }: { estimatedStartAt?: string }) => typeof estimatedStartAt),
      ['string', 'string'],
    )
    t.match((await service.call('GET', '/queue')).body, {
      estimatedWaitSeconds: Number,
      estimatedStartAt: String,
      estimateSamples: 8,
    })
    // As if history had said so: what stands in the record is what ends the run.
    const short = await service.submit({ prompt: `${prompt({ hang: true })}  `, timeoutSeconds: 'auto' })
    await redis.hset(
      `{cc}:execution:${short.id}`,
      'timeoutEstimate',
      JSON.stringify({ ...short.timeoutEstimate, timeoutSeconds: 0.3 }),
    )
    await writeFile(gate, '')
    for (const { id } of [holder, next, later]) t.equal((await service.finished(id)).estimatedStartAt, undefined)
    t.match(await service.finished(short.id), {
      status: 'timed_out',
      timeoutEstimate: { timeoutSeconds: 0.3 },
      outcome: { message: /0\.3 s/ },
    })

    for (const [query = '', path = ''] of [
      ['', 'prompt'],
      ['?prompt=', 'prompt'],
      ['?prompt=x&effort=huge', 'effort'],
      ['?prompt=x&nonsense=1', 'nonsense'],
      ['?prompt=x&workspace=../y', 'workspace'],
    ]) {
      t.match(
        await service.call('GET', `/estimates${query}`),
        { status: 400, body: { code: 'INVALID_REQUEST', errors: [{ path }] } },
        `GET /estimates${query}`,
      )
    }
    t.match(await service.call('POST', '/execute', { body: { prompt: 'x', timeoutSeconds: 'soon' } }), {
      status: 400,
      body: { errors: [{ path: 'timeoutSeconds' }] },
    })
  },
)
