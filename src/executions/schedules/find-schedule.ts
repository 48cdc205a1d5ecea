import { fromStore } from '../../platform/redis.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError } from '../../protocol/errors.js'
import { isTerminal } from '../../protocol/execution.js'
import { ScheduleId, type Schedule, type ScheduleMoment, type SchedulePage } from '../../protocol/schedules.js'
import { toSchedule, type StoredSchedule } from '../../schedules/stored-schedule.js'
import { toStatus } from '../records/execution-state.js'
import type { ExecutionServices } from '../services.js'

const DEFAULT_LIMIT = 50

export const scheduleNotFound = (id: string): ExecutorError =>
  new ExecutorError('SCHEDULE_NOT_FOUND', {
    detail: `There is no schedule ${JSON.stringify(id.slice(0, 100))}, or it was removed.`,
  })

/** The schedule, if it is the caller's; whoever administers finds all. @throws ExecutorError SCHEDULE_NOT_FOUND */
export async function requireSchedule(
  { schedules }: Pick<ExecutionServices, 'schedules'>,
  id: string,
  caller: Caller,
): Promise<StoredSchedule> {
  const found = ScheduleId.safeParse(id).success ? await fromStore(schedules.store.get(id)) : undefined
  if (!found || (found.owner !== caller.id && !caller.scopes.has('admin'))) throw scheduleNotFound(id)
  return found
}

/** With what has become of their executions so far. */
async function showSchedules(
  { store }: Pick<ExecutionServices, 'store'>,
  found: readonly StoredSchedule[],
): Promise<Schedule[]> {
  const started = ({ outcome, executionId }: ScheduleMoment): string[] =>
    outcome === 'started' && executionId !== undefined ? [executionId] : []
  const ids = new Set(
    found.flatMap(({ moments, lastExecutionId: last }) => [...moments.flatMap(started), ...(last ? [last] : [])]),
  )
  const states = await fromStore(store.statesOf([...ids]))
  const statusOf = (id: string | undefined) => {
    const state = id === undefined ? undefined : states.get(id)
    return state && toStatus(state)
  }
  return found.map((schedule) => {
    const { lastExecutionId, lastStatus } = schedule
    // The end is kept with the schedule; one that is deleted before it was ever seen to end is not known to have.
    const kept = lastStatus && isTerminal(lastStatus) ? lastStatus : undefined
    const moments = schedule.moments.map((moment) => ({ ...moment, status: statusOf(started(moment)[0]) }))
    return toSchedule({ ...schedule, lastStatus: statusOf(lastExecutionId) ?? kept, moments })
  })
}

export async function showSchedule(
  services: Pick<ExecutionServices, 'store'>,
  found: StoredSchedule,
): Promise<Schedule> {
  const [shown] = await showSchedules(services, [found])
  if (!shown) throw new Error('one is shown for each')
  return shown
}

/** @throws ExecutorError SCHEDULE_NOT_FOUND */
export const getSchedule = async (services: ExecutionServices, id: string, caller: Caller): Promise<Schedule> =>
  showSchedule(services, await requireSchedule(services, id, caller))

/** The caller's, newest first; of all tokens for whoever administers. */
export async function listSchedules(
  services: ExecutionServices,
  { limit = DEFAULT_LIMIT, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  caller: Caller,
): Promise<SchedulePage> {
  const owner = caller.scopes.has('admin') ? undefined : caller.id
  const { schedules, nextCursor } = await fromStore(services.schedules.store.list({ owner, limit, cursor }))
  return { schedules: await showSchedules(services, schedules), nextCursor }
}
