import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError } from '../../protocol/errors.js'
import { OPEN_RUNS_LIMIT, SHOWN_MOMENTS } from '../../protocol/limits.js'
import type { ScheduleMoment } from '../../protocol/schedules.js'
import { nextMoment } from '../../schedules/calendar/moments.js'
import { planDue } from '../../schedules/plan-due.js'
import { toStoredStep, type Step } from '../../schedules/schedule-store.js'
import { toRule, type StoredSchedule } from '../../schedules/stored-schedule.js'
import { cancelExecution } from '../control/cancel-execution.js'
import type { ExecutionServices } from '../services.js'
import { MomentSettled, submitExecution } from '../submit/submit-execution.js'

/** A request that is refused with what may pass is tried again for so long. */
const TRIED_MS = 60_000
/** Refused for now: there may be a place, a worker or a free session soon. */
const PASSING: readonly string[] = ['QUEUE_FULL', 'SANDBOX_UNAVAILABLE', 'SESSION_BUSY', 'RATE_LIMITED', 'INTERNAL']
const MESSAGE_CHARACTERS = 500

type Result = Pick<ScheduleMoment, 'outcome' | 'reason' | 'code' | 'message' | 'executionId'>

/** What is known of a moment while it is settled. */
interface Due {
  readonly schedule: StoredSchedule
  readonly at: number
  readonly now: number
}

const toMoment = (at: number, now: number, result: Result): ScheduleMoment => ({
  plannedAt: new Date(at).toISOString(),
  settledAt: new Date(now).toISOString(),
  ...result,
})

const ruleOf = ({ definition, createdAt }: StoredSchedule) => toRule(definition, createdAt)

const toStep = ({ schedule, at, now }: Due, result: Result, stopped?: Step['stopped']): Step => ({
  to: at,
  next: stopped === undefined ? nextMoment(ruleOf(schedule), at) : undefined,
  moments: [toMoment(at, now, result)],
  stopped,
})

/**
 * Settles the moments of a schedule that are due, one after the other: each starts one execution at most, and where
 * it starts none the reason is recorded. Safe to call at any time, by several processes at once: the scripts compare
 * where the schedule stands. The schedule as it was last read; undefined where there is none.
 */
export async function settleDue(services: ExecutionServices, id: string): Promise<StoredSchedule | undefined> {
  const { schedules, logger } = services
  for (;;) {
    const schedule = await fromStore(schedules.store.get(id))
    if (!schedule?.definition.enabled) return schedule
    const now = await fromStore(schedules.store.now())
    const rule = ruleOf(schedule)
    const after = Number(schedule.after)
    const plan = planDue(rule, schedule.definition.missed, after, now)
    if (!plan) {
      // Its time zone has got other rules, or Redis' clock was set.
      const next = nextMoment(rule, Math.max(after, now))
      if (next === schedule.nextAt) return schedule
      await fromStore(schedules.store.settle(schedule, { to: after, next, moments: [] }))
      return { ...schedule, nextAt: next }
    }
    const last = plan.missed.at(-1)
    if (last !== undefined) {
      const result: Result = { outcome: 'skipped', reason: 'missed' }
      const moments = plan.missed.slice(-SHOWN_MOMENTS).map((at) => toMoment(at, now, result))
      logger.warn({ scheduleId: id, moments: plan.missed.length }, 'moments of a schedule were missed')
      await fromStore(schedules.store.settle(schedule, { to: last, next: nextMoment(rule, last), moments }))
    } else if (plan.run !== undefined && !(await settleMoment(services, { schedule, at: plan.run, now })))
      return schedule
  }
}

/** false: it is to be tried again later. */
async function settleMoment(services: ExecutionServices, due: Due): Promise<boolean> {
  const { schedules, logger } = services
  const { schedule } = due
  const { id } = schedule
  const settle = async (result: Result, stopped?: Step['stopped']): Promise<true> => {
    const isOurs = await fromStore(schedules.store.settle(schedule, toStep(due, result, stopped)))
    if (isOurs) logger.warn({ scheduleId: id, reason: result.reason, code: result.code }, 'its moment started nothing')
    return true
  }
  const owner = await fromStore(schedules.ownerOf(schedule.owner))
  if (owner === 'revoked') {
    const message = 'The token of this schedule was revoked; it starts nothing more.'
    return settle({ outcome: 'skipped', reason: 'token_revoked', message }, 'token_revoked')
  }
  if (owner === 'expired') return settle({ outcome: 'skipped', reason: 'token_expired' })
  if (owner === 'unknown') return settle({ outcome: 'skipped', reason: 'token_unknown' })
  if (!owner.scopes.has('execute')) {
    const message = `This needs a token with the execute scope; ${owner.name} has ${[...owner.scopes].join(', ')}.`
    return settle({ outcome: 'failed', code: 'FORBIDDEN', message })
  }
  const overlapping = await clearWay(services, due, owner)
  if (overlapping === 'settled') return true
  if (overlapping) return settle(overlapping)
  const refusal = await start(services, due, owner)
  if (refusal === undefined) return true
  const { code, message } = refusal
  if (code === 'UNAUTHENTICATED') return true
  if (PASSING.includes(code ?? '')) {
    const first = await fromStore(schedules.store.firstTried(schedule))
    if (first === undefined) return true
    if (due.now - first < TRIED_MS) return false
  }
  return settle(code === 'BUDGET_EXCEEDED' ? { outcome: 'skipped', reason: 'over_budget', message } : refusal)
}

/** Why the moment must start nothing; undefined: nothing is in its way any more. */
async function clearWay(
  services: ExecutionServices,
  { schedule }: Due,
  owner: Caller,
): Promise<Result | 'settled' | undefined> {
  const open = await fromStore(services.store.listOpen(schedule))
  if (open === undefined) return 'settled'
  const { overlap } = schedule.definition
  const [first] = open
  if (first === undefined) return undefined
  const skipped = { outcome: 'skipped', reason: 'overlap', executionId: first } as const
  if (overlap === 'skip') return { ...skipped, message: 'Its last execution had not ended.' }
  if (overlap === 'queue')
    return open.length < OPEN_RUNS_LIMIT
      ? undefined
      : { ...skipped, message: `${OPEN_RUNS_LIMIT} executions of it had not ended.` }
  for (const executionId of open)
    await cancelExecution(services, executionId, owner, 'the next moment of its schedule has come').catch(
      (error: unknown) => {
        // It was deleted meanwhile.
        if (!(error instanceof ExecutorError) || error.code !== 'EXECUTION_NOT_FOUND') throw error
      },
    )
  return undefined
}

/** Starts its execution, or says why not. @throws ExecutorError STORE_UNAVAILABLE: it stays due */
async function start(services: ExecutionServices, due: Due, owner: Caller): Promise<Result | undefined> {
  const { id, definition } = due.schedule
  const { request, overlap } = definition
  const waits = overlap !== 'skip'
  try {
    const { execution } = await submitExecution(services, request, owner, undefined, {
      follows: waits && request.session !== undefined && request.session.fork !== true,
      scheduled: {
        scheduleId: id,
        waits,
        toStep: (executionId) => toStoredStep(due.schedule, toStep(due, { outcome: 'started', executionId })),
      },
    })
    services.logger.info({ scheduleId: id, executionId: execution.id }, 'started by its schedule')
    return undefined
  } catch (error) {
    if (error instanceof MomentSettled) return undefined
    if (!(error instanceof ExecutorError)) {
      services.logger.error({ scheduleId: id, err: error }, 'its request could not be submitted')
      return { outcome: 'failed', code: 'INTERNAL', message: 'An internal error occurred; the log of the API has it.' }
    }
    if (error.code === 'STORE_UNAVAILABLE') throw error
    return { outcome: 'failed', code: error.code, message: error.message.slice(0, MESSAGE_CHARACTERS).toWellFormed() }
  }
}
