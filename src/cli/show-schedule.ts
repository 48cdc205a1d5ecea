/** A schedule for eyes. */
import type { Schedule, ScheduleMoment } from '../protocol/schedules.js'
import { toLine, toPrintable } from './print.js'

const NAME_WIDTH = 10

const whenOf = ({ cron, everySeconds, timezone }: Schedule): string =>
  cron === undefined ? `every ${everySeconds} s` : `${toPrintable(cron)} ${timezone}`

function stateOf({ enabled, stoppedBecause, nextRunAt }: Schedule): string {
  if (stoppedBecause !== undefined) return `stopped: ${stoppedBecause}`
  if (!enabled) return 'paused'
  return nextRunAt === undefined ? 'over' : `next ${nextRunAt}`
}

export const toRow = (schedule: Schedule): string[] => [
  schedule.id,
  toPrintable(schedule.name),
  whenOf(schedule),
  stateOf(schedule),
  schedule.lastStatus === undefined ? '' : `last ${schedule.lastStatus}`,
]

function toMomentLine({ plannedAt, outcome, executionId, status, reason, code, message }: ScheduleMoment): string {
  const what = outcome === 'started' ? [outcome, executionId, status] : [outcome, reason ?? code]
  const why = message === undefined ? '' : `: ${toLine(message)}`
  return `  ${plannedAt}  ${what.filter((part) => part !== undefined).join(' ')}${why}`
}

export function describeSchedule(schedule: Schedule): string {
  const { id, name, token, request, overlap, missed, startAt, endAt, lastRunAt, lastExecutionId, lastStatus } = schedule
  const last = lastRunAt === undefined ? undefined : [lastRunAt, lastExecutionId, lastStatus].join('  ').trimEnd()
  const lines: Array<readonly [string, string | undefined]> = [
    ['id', id],
    ['name', toPrintable(name)],
    ['token', toPrintable(token)],
    ['when', whenOf(schedule)],
    ['state', stateOf(schedule)],
    ['from', startAt],
    ['until', endAt],
    ['overlap', overlap],
    ['missed', missed],
    ['last', last],
    ['request', toLine(JSON.stringify(request))],
  ]
  const known = lines.flatMap(([label, text]) => (text === undefined ? [] : [`${label.padEnd(NAME_WIDTH)} ${text}`]))
  const moments = schedule.moments.map(toMomentLine)
  return [...known, ...(moments.length > 0 ? ['moments, newest first', ...moments] : [])].join('\n')
}
