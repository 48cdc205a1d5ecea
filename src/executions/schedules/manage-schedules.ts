import { sha256 } from '../../platform/hash.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, parseInput } from '../../protocol/errors.js'
import { SHOWN_MOMENTS } from '../../protocol/limits.js'
import { ScheduleRequest, type Schedule, type ScheduleChange, type ScheduleMoment } from '../../protocol/schedules.js'
import { toAlarmRule } from '../../schedules/alarm-rule.js'
import { lastMoments, nextMoment } from '../../schedules/calendar/moments.js'
import { mergePatch } from '../../schedules/merge-patch.js'
import type { Step } from '../../schedules/schedule-store.js'
import { toDefinitionFields, toNewFields, toRule, type StoredSchedule } from '../../schedules/stored-schedule.js'
import { withdrawn } from '../../tokens/manage-tokens.js'
import type { ExecutionServices } from '../services.js'
import { submitExecution, type Submission } from '../submit/submit-execution.js'
import { requireSchedule, scheduleNotFound, showSchedule } from './find-schedule.js'
import { requireRunnableRequest, requireTimes } from './require-schedulable.js'

/** Of a change, while somebody settles its moments. */
const TRIES = 10

const nameTaken = (name: string, id: string): ExecutorError =>
  new ExecutorError('NAME_TAKEN', {
    detail: `name: the schedule ${id} of this token is named ${JSON.stringify(name)}; change or remove that one.`,
    errors: [{ path: 'name', message: 'is in use' }],
  })

/** An alarm that could not be set is no failure: whoever looks for what is due makes it good. */
export async function setAlarm(
  { schedules: { alarms }, logger }: Pick<ExecutionServices, 'schedules' | 'logger'>,
  { id, definition, createdAt, nextAt }: Pick<StoredSchedule, 'id' | 'definition' | 'createdAt' | 'nextAt'>,
): Promise<void> {
  const setting = nextAt === undefined ? alarms.clear(id) : alarms.set(id, toAlarmRule(toRule(definition, createdAt)))
  await setting.catch((err: unknown) => logger.warn({ scheduleId: id, err }, 'its alarm could not be set'))
}

/** @throws ExecutorError */
export async function createSchedule(
  services: ExecutionServices,
  request: ScheduleRequest,
  caller: Caller,
  key?: string,
): Promise<{ schedule: Schedule; replayed: boolean }> {
  const { schedules, config } = services
  const now = await fromStore(schedules.store.now())
  requireTimes(request, now, now)
  await requireRunnableRequest(request, services, caller)
  const id = `sch_${mintUuid(now).replaceAll('-', '')}`
  const nextAt = request.enabled ? nextMoment(toRule(request, now), now) : undefined
  const fields = toNewFields(caller.id, request, now)
  const digest = sha256(JSON.stringify(request))
  const [answer, known = id] = await fromStore(
    schedules.store.create({ id, fields, next: nextAt?.toString(), key, digest }),
  )
  switch (answer) {
    case 'withdrawn':
      throw withdrawn()
    case 'taken':
      throw nameTaken(request.name, known)
    case 'full_of_token':
      throw new ExecutorError('RATE_LIMITED', {
        detail:
          `This token has ${config.maxSchedulesPerToken} schedules already (CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN); ` +
          'remove those that are no longer needed.',
      })
    case 'full':
      throw new ExecutorError('RATE_LIMITED', {
        detail: `There are ${config.maxSchedules} schedules already (CC_EXECUTOR_MAX_SCHEDULES).`,
      })
    case 'conflict':
      throw new ExecutorError('IDEMPOTENCY_CONFLICT', {
        detail: 'This Idempotency-Key was used with another request; use a new key for a new schedule.',
      })
    case 'replayed':
      return { schedule: await showSchedule(services, await requireSchedule(services, known, caller)), replayed: true }
    case 'created':
      await setAlarm(services, { id, definition: request, createdAt: now, nextAt })
      return { schedule: await showSchedule(services, await requireSchedule(services, id, caller)), replayed: false }
  }
}

const RULE_FIELDS = ['cron', 'everySeconds', 'timezone', 'startAt', 'endAt', 'enabled'] as const

/**
 * What becomes of its moments: where they are planned anew, or it is paused, those that are due and were not settled
 * start nothing.
 */
function planStep(stored: StoredSchedule, definition: ScheduleRequest, now: number): Step {
  const [before, after] = [stored.definition, definition]
  if (RULE_FIELDS.every((field) => before[field] === after[field]))
    return { to: Number(stored.after), next: stored.nextAt, moments: [] }
  const due = before.enabled
    ? lastMoments(toRule(before, stored.createdAt), Number(stored.after), now, SHOWN_MOMENTS)
    : []
  const moments = due.map((moment): ScheduleMoment => ({
    plannedAt: new Date(moment).toISOString(),
    outcome: 'skipped',
    settledAt: new Date(now).toISOString(),
    reason: after.enabled ? 'changed' : 'paused',
  }))
  // Redis' clock may have been set back: what is settled stays so.
  const to = Math.max(Number(stored.after), now)
  const next = after.enabled ? nextMoment(toRule(after, stored.createdAt), to) : undefined
  return { to, next, moments }
}

/** @throws ExecutorError */
export async function changeSchedule(
  services: ExecutionServices,
  id: string,
  change: ScheduleChange,
  caller: Caller,
): Promise<Schedule> {
  const { schedules } = services
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const stored = await requireSchedule(services, id, caller)
    const definition = parseInput(ScheduleRequest, mergePatch(stored.definition, change))
    const now = await fromStore(schedules.store.now())
    const owner = await requireOwner(services, stored, caller, definition.enabled)
    // Whoever pauses a schedule need not correct it first.
    if (definition.enabled) requireTimes(definition, stored.createdAt, now)
    if (change.request !== undefined) await requireRunnableRequest(definition, services, owner)
    const step = planStep(stored, definition, now)
    const fields = toDefinitionFields(definition, now)
    const [answer, taken = ''] = await fromStore(schedules.store.change(stored, fields, step))
    if (answer === 'missing') throw scheduleNotFound(id)
    if (answer === 'taken') throw nameTaken(definition.name, taken)
    if (answer === 'moved') continue
    await setAlarm(services, { ...stored, definition, nextAt: step.next })
    return showSchedule(services, await requireSchedule(services, id, caller))
  }
  throw new ExecutorError('STORE_UNAVAILABLE', { detail: 'The schedule is being changed by others; try again.' })
}

/** With whose rights its executions run; whoever administers may change it even when nobody's are left. */
async function requireOwner(
  { schedules }: ExecutionServices,
  { owner, stoppedBecause }: StoredSchedule,
  caller: Caller,
  isNeeded: boolean,
): Promise<Caller> {
  if (owner === caller.id) return caller
  const found = stoppedBecause === undefined ? await fromStore(schedules.ownerOf(owner)) : 'revoked'
  if (typeof found === 'object') return found
  if (!isNeeded) return caller
  throw new ExecutorError('FORBIDDEN', { detail: `The token of this schedule cannot be used: it is ${found}.` })
}

/** Executions that it has started go on. @throws ExecutorError SCHEDULE_NOT_FOUND */
export async function removeSchedule(services: ExecutionServices, id: string, caller: Caller): Promise<void> {
  await requireSchedule(services, id, caller)
  if (!(await fromStore(services.schedules.store.remove(id)))) throw scheduleNotFound(id)
  await services.schedules.alarms.clear(id).catch((err: unknown) =>
    // It rings once more, and finds nothing.
    services.logger.debug({ scheduleId: id, err }, 'its alarm could not be cleared'),
  )
}

/** One execution now, also of one that is paused, and whatever of it has not ended. @throws ExecutorError */
export async function runSchedule(
  services: ExecutionServices,
  id: string,
  caller: Caller,
  key?: string,
): Promise<Submission> {
  const stored = await requireSchedule(services, id, caller)
  const { request, overlap } = stored.definition
  const owner = await requireOwner(services, stored, caller, true)
  const waits = overlap !== 'skip'
  return submitExecution(services, request, owner, key, {
    follows: waits && request.session !== undefined && request.session.fork !== true,
    scheduled: { scheduleId: id, waits },
  })
}
