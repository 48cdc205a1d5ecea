import { readLocalToken } from '../../cli/find-service.js'
import type { Config } from '../../platform/config.js'
import { findService } from '../../platform/service-record.js'
import { Schedule } from '../../protocol/schedules.js'
import { askService } from './check-service.js'
import { ok, warn, type Verdict } from './finding.js'

/** An API process looks for what is due every two seconds. */
const OVERDUE_MS = 2 * 60_000
/** Of those that something is wrong with. */
const NAMED = 5

/** What is wrong with one; undefined: nothing. What was skipped for a run that goes on is no fault. */
function findTrouble({ name, enabled, stoppedBecause, nextRunAt, moments }: Schedule, now: number): string | undefined {
  const [last] = moments
  if (stoppedBecause !== undefined) return `${name}: stopped (${stoppedBecause})`
  if (!enabled) return undefined
  if (nextRunAt !== undefined && now - Date.parse(nextRunAt) > OVERDUE_MS) return `${name}: overdue since ${nextRunAt}`
  if (last?.outcome === 'failed') return `${name}: ${last.code ?? 'failed'} at ${last.plannedAt}`
  const isUnpaid = last?.reason === 'over_budget' || last?.reason?.startsWith('token_') === true
  return isUnpaid ? `${name}: ${last.reason} at ${last.plannedAt}` : undefined
}

/** What a service says in GET /schedules. undefined: it has none. */
export function describeSchedules(schedules: unknown, now: number): Verdict | undefined {
  const { data: known = [] } = Schedule.array().safeParse(schedules)
  if (known.length === 0) return undefined
  const troubles = known.flatMap((schedule) => findTrouble(schedule, now) ?? [])
  const paused = known.filter(({ enabled, stoppedBecause }) => !enabled && stoppedBecause === undefined).length
  if (troubles.length === 0) return ok(`${known.length}${paused > 0 ? `, ${paused} of them paused` : ''}`)
  const more = troubles.length > NAMED ? `; and ${troubles.length - NAMED} more` : ''
  return warn(
    `${troubles.slice(0, NAMED).join('; ')}${more}`,
    'cc-executor schedule show NAME says why; resume or remove it when that is mended',
  )
}

/** The newest of the service that is recorded in the data folder. */
export async function checkSchedules(config: Config): Promise<Verdict | undefined> {
  const service = await findService(config.dataDir)
  if (!service) return undefined
  const token = config.token ?? (await readLocalToken(config).catch(() => undefined))
  return describeSchedules((await askService(`${service.url}/schedules?limit=200`, token))?.['schedules'], Date.now())
}
