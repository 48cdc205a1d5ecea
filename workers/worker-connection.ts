import type { Worker, WorkerOptions } from 'bullmq'
import { sleep } from '../src/platform/abort-signals.js'
import { redisOptions, type RedisTarget } from '../src/platform/redis.js'

/** Longer than BullMQ's blocking reads, which are answered after 10 s at the latest. */
const SILENCE_MS = 15_000
const CLOSE_MS = 1_000

interface WorkerConnection {
  readonly options: WorkerOptions['connection']
  /** Waits for what is under way, and no longer: for work that is safe to repeat. */
  close(worker: Worker): Promise<void>
}

/**
 * What BullMQ connects a worker with. Its blocking connection may never end when it was reconnecting as we closed it,
 * so it is told to give up.
 */
export function openWorkerConnection(target: RedisTarget): WorkerConnection {
  let isClosed = false
  return {
    options: {
      ...redisOptions(target),
      socketTimeout: SILENCE_MS,
      maxRetriesPerRequest: null,
      retryStrategy: (attempt: number) => (isClosed ? null : Math.min(50 * attempt, 1_000)),
    },
    async close(worker) {
      const closed = worker.close()
      await Promise.race([closed, sleep(CLOSE_MS)])
      isClosed = true
      await Promise.race([closed, sleep(CLOSE_MS)])
    },
  }
}
