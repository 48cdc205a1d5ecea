import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { FIXTURES } from '../support/paths.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { checkInvariants } from './invariants.js'
import { buildClock } from './faulty-redis.js'
import { INIT, openScene, RESULT, type Step, type Watched } from './scene.js'
import { until } from '../support/deadlines.js'

const HOUR_S = 3_600
const HOUR_MS = HOUR_S * 1_000
/** Over at once by a clock that is an hour fast, and by no other. */
const LESS_THAN_AN_HOUR_S = 1_800
const WRONG_CLOCK = [process.execPath, '--import', join(FIXTURES, 'shift-clock.mjs')]

/** An overloaded model: it passes, so another attempt follows where one is left. */
const OVERLOADED: readonly Step[] = [
  {
    line: {
      type: 'assistant',
      message: {
        id: 'm',
        model: '<synthetic>',
        content: [{ type: 'text', text: 'API Error: Repeated 529 Overloaded errors.' }],
      },
      error: 'unknown',
    },
  },
  {
    line: {
      type: 'result',
      subtype: 'success',
      is_error: true,
      api_error_status: null,
      result: 'API Error: Repeated 529 Overloaded errors. The API is at capacity',
      num_turns: 1,
    },
  },
]

/**
 * Every process has a clock of its own, an hour fast or slow, and each jumps by two in mid-run: nothing comes early,
 * late or in another order.
 */
export async function shiftEveryClock(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, {
    name: 'shiftEveryClock',
    seed,
    env: { CC_EXECUTOR_CONCURRENCY: '2', CC_EXECUTOR_LOCK_SECONDS: '30' },
  })
  const { cluster, random } = scene
  const wrong = (sign: number): NodeJS.ProcessEnv => ({ CLOCK_SHIFT_MS: String(sign * HOUR_MS) })
  const [slow, fast] = await Promise.all([-1, 1].map((sign) => scene.openApi(wrong(sign), WRONG_CLOCK)))
  const others = await Promise.all([-1, 1].map((sign) => scene.openWorker(wrong(sign), WRONG_CLOCK)))
  if (!slow || !fast) throw new Error('there are two')
  const go = join(cluster.folder, 'go')
  const running = await Promise.all(
    [1, 2, 3, 4].map((which) =>
      scene.submit(`running ${which}`, [{ ticks: 10_000, everyMs: 200, until: go }, RESULT], {
        timeoutSeconds: LESS_THAN_AN_HOUR_S,
      }),
    ),
  )
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  // All places are taken: what comes now waits, with deadlines of which some are over soon and some are not.
  const patient = await Promise.all(
    [slow, fast].map((api, index) =>
      scene.submit(`patient ${index}`, [INIT, RESULT], { queueTimeoutSeconds: LESS_THAN_AN_HOUR_S }, api),
    ),
  )
  const impatient = await Promise.all(
    [slow, fast].map((api, index) =>
      scene.submit(`impatient ${index}`, [INIT, RESULT], { queueTimeoutSeconds: 1 }, api),
    ),
  )
  const positions = await Promise.all(
    [...patient, ...impatient].map(async ({ id }) => (await cluster.get(slow, id)).position ?? 0),
  )
  t.ok(
    Math.max(...positions.slice(0, 2)) < Math.min(...positions.slice(2).map((position) => position || Infinity)),
    `who came first is first: ${positions.join()}`,
  )
  for (const execution of impatient)
    t.match(await scene.ended(execution), { status: 'failed', code: 'QUEUE_TIMEOUT' }, execution.name)
  for (const member of random.shuffle([slow, fast, ...others])) member.kill('SIGUSR2')
  const counts = running.map(({ seen }) => seen.map(({ length }) => length))
  await until(
    () =>
      running.every(({ seen }, index) => seen.every(({ length }, which) => length > (counts[index]?.[which] ?? 0) + 5)),
    'all go on after the jump',
  )
  await writeFile(go, '')
  for (const execution of [...running, ...patient])
    t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  // Its second attempt is due in some seconds, by whichever worker.
  const retried = await scene.submit('retried', OVERLOADED, { maxAttempts: 2 }, fast)
  t.match(await scene.ended(retried), { status: 'failed', code: 'CLAUDE_OVERLOADED' })
  const { attempt, createdAt, startedAt, finishedAt } = await cluster.get(slow, retried.id)
  t.equal(attempt, 2)
  t.ok(
    createdAt <= String(startedAt) && String(startedAt) <= String(finishedAt),
    `${createdAt} ${String(startedAt)} ${String(finishedAt)}`,
  )
  await checkInvariants(t, scene)
}

/**
 * Redis' own clock is set forward and back by an hour while everything runs, and back as a worker dies: nothing that
 * lives is given up, and what is dead is not waited for that long.
 */
export async function jumpRedisClock(t: Test, seed: string): Promise<void> {
  const clock = await buildClock(t)
  if (clock === undefined) {
    t.comment("there is no C compiler here: a jump of Redis' clock was not tried")
    return
  }
  const scene = await openScene(t, { name: 'jumpRedisClock', seed, clock, env: { CC_EXECUTOR_LOCK_SECONDS: '15' } })
  const { cluster, random, redis } = scene
  await Promise.all([scene.hostApi(), scene.hostApi()])
  const both = await Promise.all([scene.openWorker(), scene.openWorker()])
  const go = join(cluster.folder, 'go')
  const running = await Promise.all(
    [1, 2, 3, 4].map((which) =>
      scene.submit(`running ${which}`, [{ ticks: 10_000, everyMs: 150, until: go }, RESULT], {
        timeoutSeconds: LESS_THAN_AN_HOUR_S,
        onWorkerLost: random.pick(['fail', 'continue']),
      }),
    ),
  )
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  /** For longer than a lease: who is given up by mistake is so by then. */
  async function goOn(what: string, survivors: readonly Watched[]): Promise<void> {
    const counts = survivors.map(({ seen }) => seen.map(({ length }) => length))
    await until(
      () =>
        survivors.every(({ seen }, index) =>
          seen.every(({ length }, which) => length > (counts[index]?.[which] ?? 0) + 100),
        ),
      `all go on ${what}`,
    )
    t.same(
      survivors.filter((execution) => execution.has('execution.retrying')).map(({ name }) => name),
      [],
      `by the attempt that they were in ${what}`,
    )
    t.match(
      await scene.ended(await scene.submit(`new ${what}`, [INIT, RESULT])),
      { status: 'succeeded' },
      `new ${what}`,
    )
  }
  // Again and again: each time those who look race with those who renew.
  for (const hours of [1, 2, 3, 4]) {
    redis.setClock(hours * HOUR_S)
    await sleep(random.between(1_000, 3_000))
  }
  await goOn('after hours forward', running)
  redis.setClock(3 * HOUR_S)
  await goOn('after an hour back', running)

  const [doomed] = random.shuffle(both)
  if (!doomed) throw new Error('there are two')
  const lost = running.filter((execution) => scene.workerOf(execution) === doomed)
  const survivors = running.filter((execution) => !lost.includes(execution))
  await scene.end(doomed, 'SIGKILL')
  redis.setClock(2 * HOUR_S)
  await goOn('after a death and an hour back', survivors)
  await until(
    () => lost.every((execution) => execution.has('execution.finished') || execution.has('execution.retrying')),
    'what the dead one held is not waited for by an hour',
    120_000,
  )
  await writeFile(go, '')
  for (const execution of survivors) t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  for (const execution of lost)
    t.match(await scene.ended(execution), { status: 'failed', code: 'WORKER_LOST' }, execution.name)
  // BullMQ's locks, and the mark of its last look for stalled jobs, end by Redis' clock: after all that was set before.
  redis.setClock(5 * HOUR_S)
  await checkInvariants(t, scene)
}
