import { Worker } from 'bullmq'
import type { Logger } from '../src/platform/logger.js'
import { keyRoot, redisOptions } from '../src/platform/redis.js'
import type { Config } from '../src/platform/config.js'
import { ALARM_QUEUE_NAME, alarmSettings, type AlarmJob, type NextAlarm } from '../src/queue/schedule-alarms.js'

/** Alarms that one process answers at once: at the full hour there may be thousands. */
const CONCURRENCY = 4
/** As for the queue of executions. */
const SILENCE_MS = 15_000

export interface AlarmWorker {
  /** Waits for those that are being answered. */
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
  const worker = new Worker<AlarmJob>(ALARM_QUEUE_NAME, async ({ data }) => ring(data.scheduleId), {
    concurrency: CONCURRENCY,
    prefix: keyRoot(config.prefix),
    skipVersionCheck: true,
    settings: alarmSettings(next),
    connection: {
      ...redisOptions({ url: redisUrl, access: config.redisAccess }),
      socketTimeout: SILENCE_MS,
      maxRetriesPerRequest: null,
      retryStrategy: (attempt: number) => Math.min(50 * attempt, 1_000),
    },
  })
  worker.on('error', (error) => logger.debug({ err: error }, 'alarms of schedules'))
  // What stays due is looked for.
  worker.on('failed', (job, err) => logger.warn({ scheduleId: job?.data.scheduleId, err }, 'an alarm was not answered'))
  return { close: () => worker.close() }
}
