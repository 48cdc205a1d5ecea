import { Worker } from 'bullmq'
import { createSharedStop } from '../src/platform/abort-signals.js'
import type { Logger } from '../src/platform/logger.js'
import { keyRoot, type RedisTarget } from '../src/platform/redis.js'
import { WEBHOOK_QUEUE_NAME, type TurnJob } from '../src/queue/webhook-queue.js'
import { openWorkerConnection } from './worker-connection.js'

/** Attempts of this process at once; each webhook has fewer, so that a slow endpoint delays no other. */
const CONCURRENCY = 50

export interface WebhookWorker {
  /** Takes no further turn and gives up those that are under way, which are tried again. Idempotent. */
  close(): Promise<void>
}

interface WorkerOptions extends RedisTarget {
  readonly prefix: string
  readonly logger: Logger
  /** How long a turn lasts. */
  readonly turnMs: number
  readonly takeTurn: (turn: TurnJob, stop: AbortSignal) => Promise<void>
}

/** Takes turns of webhooks from the queue. BullMQ repeats none whose process dies: such a turn ends by itself. */
export function openWebhookWorker({ url, access, prefix, logger, turnMs, takeTurn }: WorkerOptions): WebhookWorker {
  const stop = createSharedStop()
  const connection = openWorkerConnection({ url, access })
  const worker = new Worker<TurnJob>(WEBHOOK_QUEUE_NAME, ({ data }) => connection.follow(takeTurn(data, stop.signal)), {
    concurrency: CONCURRENCY,
    lockDuration: turnMs,
    maxStalledCount: 0,
    prefix: keyRoot(prefix),
    skipVersionCheck: true,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    connection: connection.options,
  })
  worker.on('error', (error) => logger.debug({ err: error }, 'worker of webhooks'))
  worker.on('failed', (job, error) => logger.debug({ ...job?.data, err: error }, 'a turn of a webhook was lost'))
  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    stop.abort()
    await connection.close(worker)
  }
  return { close: () => (closing ??= close()) }
}
