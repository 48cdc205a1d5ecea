import { readCron, type CronFields } from './cron-fields.js'
import { isPlain, openZone, toMoments, type Zone } from './zone.js'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** Between two leap days may lie eight years. */
const HORIZON_DAYS = 9 * 366

/** When a schedule is to start something. Times are milliseconds since the epoch. */
export interface Rule {
  readonly cron?: string | undefined
  /** Of a cron expression. */
  readonly timezone: string
  readonly everySeconds?: number | undefined
  /** Of an interval: its moments are a multiple of it after this. */
  readonly anchor: number
  readonly startAt?: number | undefined
  readonly endAt?: number | undefined
}

const toLocalDay = (moment: number, zone: Zone): number =>
  Math.floor((moment + zone.offsetAt(moment)) / DAY_MS) * DAY_MS

function isDay(localDay: number, { days, months, weekdays, isEitherDay }: CronFields): boolean {
  const date = new Date(localDay)
  if (!months.has(date.getUTCMonth() + 1)) return false
  const isOfMonth = days.has(date.getUTCDate())
  const isOfWeek = weekdays.has(date.getUTCDay())
  return isEitherDay ? isOfMonth || isOfWeek : isOfMonth && isOfWeek
}

/** All of a local day, in order. One that a clock's setting moves may lie on the next day. */
function listDay(localDay: number, fields: CronFields, zone: Zone): number[] {
  if (!isDay(localDay, fields)) return []
  const { hours, minutes, isHourly } = fields
  const offset = isPlain(localDay, zone) ? zone.offsetAt(localDay) : undefined
  const moments: number[] = []
  for (const hour of hours) {
    for (const minute of minutes) {
      const local = localDay + (hour * 60 + minute) * MINUTE_MS
      if (offset !== undefined) moments.push(local - offset)
      else moments.push(...toMoments(local, zone).slice(0, isHourly ? 2 : 1))
    }
  }
  return offset === undefined ? [...new Set(moments)].toSorted((one, other) => one - other) : moments
}

function nextOfCron(cron: string, timezone: string, after: number): number | undefined {
  const [fields, zone] = [readCron(cron), openZone(timezone)]
  // A clock's setting may move a moment to the day after its own.
  const first = toLocalDay(after, zone) - DAY_MS
  for (let day = first; day <= first + HORIZON_DAYS * DAY_MS; day += DAY_MS) {
    const next = listDay(day, fields, zone).find((moment) => moment > after)
    if (next === undefined) continue
    const other = listDay(day + DAY_MS, fields, zone).find((moment) => moment > after)
    return Math.min(next, other ?? next)
  }
  return undefined
}

function lastOfCron(cron: string, timezone: string, after: number, until: number, most: number): number[] {
  const [fields, zone] = [readCron(cron), openZone(timezone)]
  const found = new Set<number>()
  const last = toLocalDay(until, zone)
  const first = Math.max(toLocalDay(after, zone) - DAY_MS, last - HORIZON_DAYS * DAY_MS)
  // One day more than is needed: its moments may lie after some of the next day's.
  for (let day = last, full = false; day >= first; day -= DAY_MS) {
    for (const moment of listDay(day, fields, zone)) if (moment > after && moment <= until) found.add(moment)
    if (full) break
    full = found.size >= most
  }
  return [...found].toSorted((one, other) => one - other).slice(-most)
}

/** The first moment of a rule that is later; undefined: there is none. */
export function nextMoment(rule: Rule, after: number): number | undefined {
  const { cron, timezone, everySeconds, anchor, startAt = -Infinity, endAt = Infinity } = rule
  const from = Math.max(after, startAt - 1)
  let next: number | undefined
  if (cron !== undefined) next = nextOfCron(cron, timezone, from)
  else if (everySeconds !== undefined) {
    const step = everySeconds * 1_000
    next = anchor + (Math.floor((from - anchor) / step) + 1) * step
  }
  return next === undefined || next > endAt ? undefined : next
}

/** The last moments of a rule that are later than the one and not later than the other, in order; at most so many. */
export function lastMoments(rule: Rule, after: number, until: number, most: number): readonly number[] {
  const { cron, timezone, everySeconds, anchor, startAt = -Infinity, endAt = Infinity } = rule
  const [low, high] = [Math.max(after, startAt - 1), Math.min(until, endAt)]
  if (high <= low) return []
  if (cron !== undefined) return lastOfCron(cron, timezone, low, high, most)
  if (everySeconds === undefined) return []
  const step = everySeconds * 1_000
  const found: number[] = []
  for (let each = anchor + Math.floor((high - anchor) / step) * step; each > low && found.length < most; each -= step)
    found.unshift(each)
  return found
}
