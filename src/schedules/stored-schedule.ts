import { definedFields } from '../protocol/defined-fields.js'
import type { ExecutionStatus } from '../protocol/execution.js'
import type { Schedule, ScheduleMoment, ScheduleRequest } from '../protocol/schedules.js'
import type { Rule } from './calendar/moments.js'

/** A schedule as it is kept. Times are milliseconds since the epoch. */
export interface StoredSchedule {
  readonly id: string
  readonly owner: string
  readonly definition: ScheduleRequest
  readonly stoppedBecause?: Schedule['stoppedBecause']
  readonly createdAt: number
  readonly updatedAt: number
  /** Up to there every moment is settled, as the scripts compare it. */
  readonly after: string
  readonly revision: string
  readonly nextAt?: number | undefined
  readonly lastRunAt?: number | undefined
  readonly lastExecutionId?: string | undefined
  readonly lastStatus?: ExecutionStatus | undefined
  /** What became of its last moments, newest first. */
  readonly moments: readonly ScheduleMoment[]
}

/** As the hash holds them: texts, so that no number passes through Lua's. */
export type ScheduleFields = Readonly<Record<string, string>>

/** What a new definition sets; the rest of the hash is the scripts'. */
export const toDefinitionFields = (definition: ScheduleRequest, updatedAt: number): ScheduleFields => ({
  name: definition.name,
  definition: JSON.stringify(definition),
  enabled: definition.enabled ? '1' : '0',
  updatedAt: String(updatedAt),
})

export const toNewFields = (owner: string, definition: ScheduleRequest, now: number): ScheduleFields => ({
  owner,
  ...toDefinitionFields(definition, now),
  createdAt: String(now),
  after: String(now),
  revision: '1',
})

const toNumber = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text))

/** undefined where there is no such schedule. @param hash names and values of its fields, by turns */
export function toStoredSchedule(
  id: string,
  hash: readonly string[],
  moments: readonly string[],
): StoredSchedule | undefined {
  const names = hash.filter((_, index) => index % 2 === 0)
  const fields: Partial<Record<string, string>> = Object.fromEntries(
    names.map((name, index) => [name, hash[2 * index + 1]]),
  )
  const { owner, definition: text, after, revision, enabled } = fields
  if (owner === undefined || text === undefined || after === undefined || revision === undefined) return undefined
  // Safe: toDefinitionFields wrote it, from what was parsed.
  const definition = JSON.parse(text) as ScheduleRequest
  return {
    id,
    owner,
    // A script may have stopped it.
    definition: { ...definition, enabled: enabled === '1' },
    // Safe: a script wrote what it was given.
    stoppedBecause: fields['stopped'] as Schedule['stoppedBecause'],
    createdAt: Number(fields['createdAt']),
    updatedAt: Number(fields['updatedAt']),
    after,
    revision,
    nextAt: toNumber(fields['nextAt']),
    lastRunAt: toNumber(fields['lastRunAt']),
    lastExecutionId: fields['lastExecutionId'],
    // Safe: as above.
    lastStatus: fields['lastStatus'] as ExecutionStatus | undefined,
    moments: moments.map((text) => JSON.parse(text) as ScheduleMoment),
  }
}

const parseTime = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text))

/** An interval without a start counts from when it was made. */
export function toRule({ cron, everySeconds, timezone, startAt, endAt }: ScheduleRequest, createdAt: number): Rule {
  const start = parseTime(startAt)
  return { cron, everySeconds, timezone, anchor: start ?? createdAt, startAt: start, endAt: parseTime(endAt) }
}

const toTime = (moment: number | undefined): string | undefined =>
  moment === undefined ? undefined : new Date(moment).toISOString()

/** As it is shown. */
export function toSchedule(stored: StoredSchedule): Schedule {
  const { definition, createdAt, updatedAt, nextAt, lastRunAt } = stored
  const { startAt, endAt } = definition
  return definedFields({
    id: stored.id,
    token: stored.owner,
    ...definition,
    stoppedBecause: stored.stoppedBecause,
    startAt: toTime(parseTime(startAt)),
    endAt: toTime(parseTime(endAt)),
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    nextRunAt: toTime(nextAt),
    lastRunAt: toTime(lastRunAt),
    lastExecutionId: stored.lastExecutionId,
    lastStatus: stored.lastStatus,
    moments: [...stored.moments],
  })
}
