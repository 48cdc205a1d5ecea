import { Worker } from 'bullmq'
import type { Logger } from '../src/platform/logger.js'
import { keyRoot } from '../src/platform/redis.js'
import type { Config } from '../src/platform/config.js'
import { ALARM_QUEUE_NAME, alarmSettings, type AlarmJob, type NextAlarm } from '../src/queue/schedule-alarms.js'
import { openWorkerConnection } from './worker-connection.js'

/** Alarms that one process answers at once: at the full hour there may be thousands. */
const CONCURRENCY = 4

export interface AlarmWorker {
  /** Waits for those that are being answered, for some seconds. */
  close(): Promise<void>
}

interface AlarmWorkerOptions {
  readonly config: Pick<Config, 'prefix' | 'redisAccess'>
  readonly redisUrl: string
  readonly logger: Logger
  readonly next: NextAlarm
}

/** Listens for alarms of schedules. BullMQ sets the next one when one rings, by the same rule as the queue. */
export function openAlarmWorker(
  { config, redisUrl, logger, next }: AlarmWorkerOptions,
  ring: (scheduleId: string) => Promise<void>,
): AlarmWorker {
  const connection = openWorkerConnection({ url: redisUrl, access: config.redisAccess })
  const worker = new Worker<AlarmJob>(ALARM_QUEUE_NAME, ({ data }) => connection.follow(ring(data.scheduleId)), {
    concurrency: CONCURRENCY,
    prefix: keyRoot(config.prefix),
    skipVersionCheck: true,
    settings: alarmSettings(next),
    connection: connection.options,
  })
  worker.on('error', (error) => logger.debug({ err: error }, 'alarms of schedules'))
  // What stays due is looked for.
  worker.on('failed', (job, err) => logger.warn({ scheduleId: job?.data.scheduleId, err }, 'an alarm was not answered'))
  return { close: () => connection.close(worker) }
}
