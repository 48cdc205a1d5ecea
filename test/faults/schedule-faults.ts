import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { Schedule } from '../../src/protocol/schedules.js'
import { buildClock } from './faulty-redis.js'
import { openScene } from './scene.js'
import { repeat, until } from '../support/deadlines.js'

const HOUR_S = 3_600
const COUNT = 20
const ROUNDS = 4
const DEADLINE_MS = 120_000

/**
 * Hours pass at once, all moments of many schedules come together, and while they are settled an API is killed, in one
 * round Redis as well. Then the clock goes back. Each moment has started one execution, and none is missing.
 */
export async function killAtPlannedMoments(t: Test, seed: string): Promise<void> {
  const clock = await buildClock(t)
  if (clock === undefined) {
    t.comment("there is no C compiler here: Redis' clock was not moved")
    return
  }
  const scene = await openScene(t, { name: 'killAtPlannedMoments', seed, clock })
  const { cluster, random, redis } = scene
  const survivor = await scene.hostApi()
  let victim = await scene.openApi()
  async function ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await repeat(async () => {
      const answered = await cluster.call(survivor, method, path, body)
      if (answered.status !== 503) return answered
      await sleep(100)
      return undefined
    }, `${method} ${path} is answered`)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body as Answer
  }
  let made = 0
  async function make(more: Record<string, unknown> = {}): Promise<Schedule> {
    made += 1
    const rule = { name: `number ${made}`, everySeconds: HOUR_S, missed: 'all', overlap: 'queue', ...more }
    return ask('POST', '/schedules', { ...rule, request: { prompt: 'x' } })
  }
  /** Each has started one execution for each of so many moments. */
  async function check(schedules: readonly Schedule[], moments: number, what: string): Promise<void> {
    for (const { id, name } of schedules) {
      let shown: Schedule | undefined
      await until(
        async () => (shown = await ask<Schedule>('GET', `/schedules/${id}`)).moments.length >= moments,
        `${name} has settled ${moments} moments ${what}`,
        DEADLINE_MS,
      )
      const told = shown?.moments ?? []
      t.same(new Set(told.map(({ outcome }) => outcome)), new Set(['started']), `${name} ${what}`)
      t.equal(new Set(told.map(({ plannedAt }) => plannedAt)).size, moments, `${name} ${what}: each moment once`)
      const { executions } = await ask<{ executions: Execution[] }>('GET', `/executions?scheduleId=${id}&limit=200`)
      t.same(
        executions.map((execution) => execution.id).sort(),
        told.map(({ executionId }) => String(executionId)).sort(),
        `${name} ${what}: these executions and no other`,
      )
    }
  }
  async function replaceVictim(): Promise<void> {
    await scene.end(victim, 'SIGKILL')
    victim = await scene.openApi()
  }

  const schedules: Schedule[] = []
  for (let count = 0; count < COUNT; count += 1) schedules.push(await make())
  for (let round = 1; round <= ROUNDS; round += 1) {
    redis.setClock(round * HOUR_S)
    // About when one of the two finds what is due.
    await sleep(random.between(0, 2_500))
    if (round === 2) {
      await redis.end('SIGKILL')
      await redis.start()
    }
    await replaceVictim()
    await check(schedules, round, `after ${round} hours`)
  }
  redis.setClock(0)
  // By alarms, in both processes, one of which dies about then.
  const startAt = new Date(Date.now() + 1_500).toISOString()
  const ringing: Schedule[] = []
  for (let count = 0; count < COUNT; count += 1) ringing.push(await make({ startAt }))
  await sleep(random.between(500, 1_700))
  await replaceVictim()
  await check(ringing, 1, 'by alarms')
  await check(schedules, ROUNDS, 'after the clock went back')
}
