import { Queue, type RepeatOptions } from 'bullmq'
import type { Logger } from '../platform/logger.js'
import { definedFields } from '../protocol/defined-fields.js'
import { closeRedis, keyRoot, openRedis, type RedisTarget } from '../platform/redis.js'

/** BullMQ's name of the queue of alarms; its keys are `{prefix}:alarms:*`. */
export const ALARM_QUEUE_NAME = 'alarms'

/** All that an alarm carries: what is due then, the schedule says. */
export interface AlarmJob {
  readonly scheduleId: string
}

/** The rule of an alarm, as BullMQ's job schedulers keep it, and as a dashboard shows it. */
export interface AlarmRule {
  readonly pattern: string
  readonly timezone: string
  readonly startAt?: number | undefined
  readonly endAt?: number | undefined
}

/**
 * The next time after another, both in milliseconds since the epoch. BullMQ's own way, cron-parser 5.10.3, leaves out a
 * whole day where the clocks skip the time (00:00 in Cairo, 02:15 on Lord Howe), and finds other times backwards than
 * forwards.
 */
export type NextAlarm = (rule: AlarmRule, after: number) => number | undefined

/** For the queue and for its worker: both plan an alarm. */
export function alarmSettings(next: NextAlarm): { repeatStrategy: (after: number, options: RepeatOptions) => number } {
  const toTime = (date: RepeatOptions['startDate']): number | undefined =>
    date === undefined ? undefined : new Date(date).getTime()
  return {
    repeatStrategy: (after, { pattern = '', tz: timezone = 'UTC', startDate, endDate }) =>
      // Safe: BullMQ plans nothing more where there is no number, which its types do not say.
      next({ pattern, timezone, startAt: toTime(startDate), endAt: toTime(endDate) }, after) as number,
  }
}

/** One alarm for each schedule, by BullMQ's job schedulers. A lost one is made good by who looks for what is due. */
export interface ScheduleAlarms {
  /** Safe to repeat: a schedule has one alarm. */
  set(scheduleId: string, rule: AlarmRule): Promise<void>
  clear(scheduleId: string): Promise<void>
  close(): Promise<void>
}

/** Events of BullMQ that nothing reads. */
const EVENTS_KEPT = 100

export function openScheduleAlarms(
  { url, access, prefix, logger }: RedisTarget & { prefix: string; logger: Logger },
  next: NextAlarm,
): ScheduleAlarms {
  const redis = openRedis({ url, access, logger, role: 'caller' })
  const queue = new Queue<AlarmJob>(ALARM_QUEUE_NAME, {
    prefix: keyRoot(prefix),
    connection: redis,
    skipVersionCheck: true,
    streams: { events: { maxLen: EVENTS_KEPT } },
    settings: alarmSettings(next),
  })
  queue.on('error', (error) => logger.debug({ err: error }, 'queue of alarms'))
  return {
    async set(scheduleId, { pattern, timezone: tz, startAt: startDate, endAt: endDate }) {
      // A kept job would stand in the way of a new alarm for its time.
      const opts = { removeOnComplete: true, removeOnFail: true }
      const rule = definedFields({ pattern, tz, startDate, endDate })
      await queue.upsertJobScheduler(scheduleId, rule, { name: 'alarm', data: { scheduleId }, opts })
    },
    async clear(scheduleId) {
      await queue.removeJobScheduler(scheduleId)
    },
    async close() {
      await queue.close()
      closeRedis(redis)
    },
  }
}
