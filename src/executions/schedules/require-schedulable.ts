import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { Caller } from '../../protocol/caller.js'
import type { ScheduleRequest } from '../../protocol/schedules.js'
import { CronError, readCron } from '../../schedules/calendar/cron-fields.js'
import { nextMoment } from '../../schedules/calendar/moments.js'
import { openZone } from '../../schedules/calendar/zone.js'
import { toRule } from '../../schedules/stored-schedule.js'
import type { ExecutionServices } from '../services.js'
import { nameFor } from '../submit/name-for.js'
import { requireRunnable } from '../submit/require-runnable.js'

const refuse = (path: string, message: string): ExecutorError => toInvalidRequest([{ path, message }])

/** There is such a time, and it comes. @throws ExecutorError INVALID_REQUEST */
export function requireTimes(request: ScheduleRequest, createdAt: number, now: number): void {
  const { cron, timezone, endAt } = request
  try {
    if (cron !== undefined) readCron(cron)
  } catch (error) {
    if (error instanceof CronError) throw refuse('cron', error.message)
    throw error
  }
  try {
    openZone(timezone)
  } catch {
    throw refuse('timezone', `there is no time zone ${JSON.stringify(timezone)}; write a name such as Europe/Berlin`)
  }
  if (endAt !== undefined && Date.parse(endAt) <= now) throw refuse('endAt', 'must be in the future')
  if (nextMoment(toRule(request, createdAt), now) === undefined)
    throw refuse(endAt === undefined ? 'cron' : 'endAt', 'no moment comes before it, or within nine years')
}

/** What is asked could run now, with its fields named where they stand. @throws ExecutorError as requireRunnable */
export async function requireRunnableRequest(
  { request }: ScheduleRequest,
  services: ExecutionServices,
  caller: Caller,
): Promise<void> {
  try {
    await requireRunnable(request, services, caller)
    if (request.session === undefined) await nameFor(services, caller, request, '')
  } catch (error) {
    if (!(error instanceof ExecutorError) || !error.details.errors) throw error
    throw toInvalidRequest(
      error.details.errors.map(({ path, message }) => ({ path: `request.${path}`, message })),
      error.code,
    )
  }
}
