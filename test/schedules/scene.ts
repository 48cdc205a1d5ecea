// A service whose schedules can be set back in time, and whose alarms ring when a test says so.
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { Schedule } from '../../src/protocol/schedules.js'
import { ALARM_QUEUE_NAME } from '../../src/queue/schedule-alarms.js'
import { openConformingCall } from '../support/conformance.js'
import { openTestService, type TestService } from '../support/service.js'
import { repeat } from '../support/deadlines.js'

export const TOKENS = {
  alice: 'alice-0123456789abcdef',
  bob: 'bob-0123456789abcdef',
  reader: 'reader-0123456789abcdef',
  carol: 'carol-0123456789abcdef',
}
export const HOUR_S = 3_600
export const HOUR_MS = HOUR_S * 1_000
export const OWN = 40
export type Options = Parameters<TestService['call']>[2] & { as?: string }
export const outcomes = ({ moments }: Schedule): string[] => moments.map(({ outcome, reason }) => reason ?? outcome)

export async function openSchedules(t: Test) {
  const service = await openTestService(t, {
    apis: 2,
    workers: 0,
    env: {
      CC_EXECUTOR_TOKENS: `alice=${TOKENS.alice},bob=${TOKENS.bob}:execute+read,reader=${TOKENS.reader}:read,carol=${TOKENS.carol}:execute+read`,
      CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN: String(OWN),
    },
  })
  const bare = await openConformingCall(service.call)
  /** As a client does: on a machine that is held up Redis may not answer an API in its second. What is read is safe. */
  async function call(method: string, path: string, { as = TOKENS.alice, headers, ...options }: Options = {}) {
    const ask = () => bare.call(method, path, { ...options, headers: { authorization: `Bearer ${as}`, ...headers } })
    let answer = await ask()
    for (let tries = 0; tries < 40 && method === 'GET' && answer.body?.code === 'STORE_UNAVAILABLE'; tries += 1) {
      await sleep(250)
      answer = await ask()
    }
    return answer
  }

  const redis = new Redis(service.redis.url)
  const alarms = new Queue(ALARM_QUEUE_NAME, { prefix: '{cc}', connection: redis, skipVersionCheck: true })
  t.teardown(async () => {
    await alarms.close()
    redis.disconnect()
  })

  let made = 0
  async function make(more: Record<string, unknown> = {}, options: Options = {}): Promise<Schedule> {
    made += 1
    const body = { name: `number ${made}`, everySeconds: HOUR_S, request: { prompt: 'Say hello' }, ...more }
    const answer = await call('POST', '/schedules', { body, ...options })
    if (answer.status !== 201) throw new Error(answer.text)
    return answer.body
  }
  const show = async (id: string, options: Options = {}): Promise<Schedule> =>
    (await call('GET', `/schedules/${id}`, options)).body
  const change = (id: string, body: Record<string, unknown>, options: Options = {}) =>
    call('PATCH', `/schedules/${id}`, { body, ...options })
  const executionsOf = async (id: string): Promise<Execution[]> =>
    (await call('GET', `/executions?scheduleId=${id}&limit=200`)).body.executions

  /** As if it, and everything else, had been down since so long ago. */
  async function setBack(id: string, milliseconds: number, isLookedFor = true): Promise<void> {
    const key = `{cc}:schedule:${id}`
    const [after = '', createdAt = ''] = await redis.hmget(key, 'after', 'createdAt')
    const before = String(Number(after) - milliseconds)
    await redis.hset(key, 'after', before, 'createdAt', String(Number(createdAt) - milliseconds), 'nextAt', before)
    if (isLookedFor) await redis.zadd('{cc}:schedules-due', before, id)
  }
  /** Its alarm rings now. */
  const ring = async (id: string): Promise<void> => void (await alarms.add('alarm', { scheduleId: id }))
  async function untilShown(id: string, matches: (schedule: Schedule) => boolean): Promise<Schedule> {
    let last: Schedule | undefined
    return repeat(async () => {
      last = await show(id)
      if (matches(last)) return last
      await sleep(20)
      return undefined
    }, 'it is as it should be').catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
    })
  }
  /** What became of so many moments, or more. */
  const untilTold = (id: string, count: number): Promise<Schedule> =>
    untilShown(id, ({ moments }) => moments.length >= count)
  async function comeBack(id: string, hours: number, count = 1): Promise<Schedule> {
    const before = (await show(id)).moments.length
    await setBack(id, hours * HOUR_MS)
    await ring(id)
    // What is missed and what is started are recorded one after the other.
    return untilShown(
      id,
      ({ moments, nextRunAt }) =>
        moments.length >= Math.min(10, before + count) &&
        (nextRunAt === undefined || Date.parse(nextRunAt) > Date.now()),
    )
  }
  const cancel = (id: string) => call('POST', `/executions/${id}/cancel`)

  return {
    service,
    bare,
    call,
    redis,
    alarms,
    make,
    show,
    change,
    executionsOf,
    setBack,
    ring,
    untilShown,
    untilTold,
    comeBack,
    cancel,
  }
}
