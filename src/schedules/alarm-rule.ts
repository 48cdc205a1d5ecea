import { nextMoment, type Rule } from './calendar/moments.js'

/** A rule as BullMQ's job schedulers can keep it: an interval is a pattern of its own. */
interface AlarmRule {
  readonly pattern: string
  readonly timezone: string
  readonly startAt?: number | undefined
  readonly endAt?: number | undefined
}

export const toAlarmRule = ({ cron, everySeconds, anchor, timezone, startAt, endAt }: Rule): AlarmRule => ({
  pattern: cron ?? `every ${everySeconds} s from ${anchor}`,
  timezone,
  startAt,
  endAt,
})

/** Of a rule that toAlarmRule made; undefined: none follows, or this process does not know the time zone. */
export function nextAlarm({ pattern, timezone, startAt, endAt }: AlarmRule, after: number): number | undefined {
  const [, every, anchor] = /^every (\d+) s from (\d+)$/.exec(pattern) ?? []
  const rule: Rule =
    every === undefined
      ? { cron: pattern, timezone, anchor: 0, startAt, endAt }
      : { everySeconds: Number(every), timezone, anchor: Number(anchor), startAt, endAt }
  try {
    return nextMoment(rule, after)
  } catch {
    return undefined
  }
}
