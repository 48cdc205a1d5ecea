import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { checkInvariants } from './invariants.js'
import { openScene, RESULT, type Scene, type Watched } from './scene.js'
import { until } from '../support/deadlines.js'

const LOST = { status: 'failed', code: 'WORKER_LOST' }
/** Long for a machine that is busy, and still none for an answer that waits until Redis is back. */
const REFUSAL_MS = 60_000

/**
 * What is submitted meanwhile is refused, soon and with a word on when to come again; or it is kept.
 * Answers with the client's second try, by the same key: whatever became of the first, there is one execution.
 */
export async function submitMeanwhile(
  t: Test,
  { cluster, random, apis, watch }: Scene,
  name: string,
): Promise<() => Promise<void>> {
  const mark = join(cluster.folder, 'marks', name)
  await writeFile(mark, '')
  const submit = () =>
    cluster.call(
      random.pick(apis),
      'POST',
      '/execute',
      { prompt: JSON.stringify([{ mark }, RESULT]) },
      { 'idempotency-key': name },
    )
  const askedAt = performance.now()
  const { status, headers, body } = await submit()
  t.ok(performance.now() - askedAt < REFUSAL_MS, `${name}: answered within ${REFUSAL_MS} ms`)
  if (status !== 202)
    t.match(
      [status, body.code, headers.get('retry-after')],
      [503, 'STORE_UNAVAILABLE', /^\d+$/],
      `${name}: refused as it should be`,
    )
  return async () => {
    // An API that has not reached Redis again says so, and when to come back.
    let again = await submit()
    await until(
      async () => (again.status === 503 ? (again = await submit()).status !== 503 : true),
      `${name}: accepted`,
    )
    t.ok(again.status === 202 || again.status === 200, `${name}: accepted when tried again: ${again.status}`)
    watch(again.body.id, name, mark)
  }
}

/** The memory that Redis may use: not one write more, or no limit. */
const setFull = ({ redis: { admin } }: Scene, isFull: boolean): Promise<unknown> =>
  admin.config('SET', 'maxmemory', isFull ? '1' : '0')

/** Redis and the ways to it fail for less than a lease: everything that runs goes on, and nothing of it is missing. */
export async function surviveShortOutages(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, {
    name: 'surviveShortOutages',
    seed,
    env: { CC_EXECUTOR_LOCK_SECONDS: '40' },
    watchers: 3,
  })
  const { redis, random, cluster } = scene
  const [api, , worker] = await Promise.all([scene.hostApi(), scene.hostApi(), scene.hostWorker(), scene.hostWorker()])
  const go = join(cluster.folder, 'go')
  const executions = await Promise.all(
    [1, 2, 3, 4].map((which) =>
      scene.submit(`stream ${which}`, [{ ticks: 10_000, everyMs: random.between(100, 300), until: go }, RESULT]),
    ),
  )
  await until(() => executions.every((execution) => execution.has('claude.message')), 'all run')
  const shortly = (): Promise<void> => sleep(random.between(800, 1_500))

  let submitAgain: (() => Promise<void>) | undefined
  const faults: Array<[string, () => Promise<unknown>]> = [
    [
      'killed',
      async () => {
        await redis.end('SIGKILL')
        submitAgain = await submitMeanwhile(t, scene, 'while Redis is gone')
        await shortly()
        await redis.start()
      },
    ],
    [
      'frozen',
      async () => {
        redis.freeze()
        submitAgain = await submitMeanwhile(t, scene, 'while Redis is frozen')
        await shortly()
        redis.thaw()
      },
    ],
    [
      'full',
      async () => {
        await setFull(scene, true)
        submitAgain = await submitMeanwhile(t, scene, 'while Redis is full')
        await shortly()
        await setFull(scene, false)
      },
    ],
    [
      'cut',
      async () => {
        for (const { link } of [api, worker]) link.cut()
        await shortly()
        for (const { link } of [api, worker]) link.mend()
      },
    ],
    [
      'black hole',
      async () => {
        for (const { link } of [api, worker]) link.hold()
        await shortly()
        for (const { link } of [api, worker]) link.mend()
      },
    ],
    // The connections that were open are never heard of again.
    [
      'forgotten',
      async () => {
        for (const { link } of [api, worker]) link.hold()
        await shortly()
        for (const { link } of [api, worker]) link.forget()
      },
    ],
  ]
  for (const [name, inject] of random.shuffle(faults)) {
    t.comment(name)
    await inject()
    // Everybody hears of what runs again, before the next fault comes.
    const counts = executions.map(({ seen }) => seen.map(({ length }) => length))
    await until(
      () =>
        executions.every(({ seen }, index) =>
          seen.every(({ length }, which) => length > (counts[index]?.[which] ?? 0) + 2),
        ),
      `all go on after: ${name}`,
      120_000,
    ).catch((error: unknown) => {
      t.fail(String(error), {
        before: counts,
        now: executions.map(({ seen }) => seen.map(({ length }) => length)),
        last: executions.map(({ seen }) => seen.map((events) => events.at(-1)?.type)),
      })
    })
    await submitAgain?.()
    submitAgain = undefined
  }
  await writeFile(go, '')
  for (const execution of executions) t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  await checkInvariants(t, scene)
}

/**
 * Redis, or the way of one worker to it, fails for longer than a lease: what runs is ended and said to be lost, once.
 * A Redis that is full for so long loses nothing.
 */
export async function endWithLongOutages(
  t: Test,
  seed: string,
  { leaseSeconds = 12, chosen }: { leaseSeconds?: number; chosen?: readonly string[] } = {},
): Promise<void> {
  const scene = await openScene(t, {
    name: 'endWithLongOutages',
    seed,
    env: { CC_EXECUTOR_LOCK_SECONDS: String(leaseSeconds) },
  })
  const { redis, random } = scene
  const [, worker] = await Promise.all([scene.hostApi(), scene.hostWorker()])
  // Also than a worker that was held up itself takes to see it.
  const longer = leaseSeconds * 1_000 + 8_000
  const faults: Array<[string, () => Promise<unknown>]> = [
    [
      'frozen',
      async () => {
        redis.freeze()
        await sleep(longer)
        redis.thaw()
      },
    ],
    [
      'black hole',
      async () => {
        worker.link.hold()
        await sleep(longer)
        worker.link.mend()
      },
    ],
    [
      'killed',
      async () => {
        await redis.end('SIGKILL')
        await sleep(longer)
        await redis.start()
      },
    ],
    [
      'full',
      async () => {
        await setFull(scene, true)
        await sleep(longer)
        await setFull(scene, false)
      },
    ],
  ]
  const names = chosen ?? ['frozen', random.pick(['black hole', 'killed', 'full'])]
  for (const [name, inject] of faults.filter(([name]) => names.includes(name))) {
    t.comment(name)
    const executions: Watched[] = await Promise.all(
      [1, 2].map((which) =>
        scene.submit(`${name} ${which}`, [{ ticks: 1e6, everyMs: random.between(100, 300) }, RESULT]),
      ),
    )
    await until(() => executions.every((execution) => execution.has('claude.message')), 'both run')
    await inject()
    // A full Redis still renews leases: its runs go on, and all of their events come when there is room.
    const isKept = name === 'full'
    if (isKept) {
      for (const { id } of executions)
        await scene.cluster.call(random.pick(scene.apis), 'POST', `/executions/${id}/cancel`)
    }
    for (const execution of executions)
      t.match(await scene.ended(execution), isKept ? { status: 'cancelled' } : LOST, execution.name)
    const next = await scene.submit(`after ${name}`, [{ ticks: 3, everyMs: 10 }, RESULT])
    t.match(await scene.ended(next), { status: 'succeeded' }, 'and the worker works again')
  }
  await checkInvariants(t, scene)
}
