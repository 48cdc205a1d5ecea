import type { Worker, WorkerOptions } from 'bullmq'
import { sleep } from '../src/platform/abort-signals.js'
import { redisOptions, type RedisTarget } from '../src/platform/redis.js'

/** Longer than BullMQ's blocking reads, which are answered after 10 s at the latest. */
const SILENCE_MS = 15_000
const CLOSE_MS = 1_000

interface WorkerConnection {
  readonly options: WorkerOptions['connection']
  /** For a worker whose work is safe to repeat: takes nothing more, and waits for what is under way, but not long. */
  close(worker: Worker): Promise<void>
  /** What is under way. */
  follow<Result>(work: Promise<Result>): Promise<Result>
}

/**
 * What BullMQ connects a worker with. While Redis is away its `close` never ends, and its timers go on: so it is closed
 * by force once nothing is under way.
 */
export function openWorkerConnection(target: RedisTarget): WorkerConnection {
  let isClosed = false
  const underWay = new Set<Promise<unknown>>()
  return {
    options: {
      ...redisOptions(target),
      socketTimeout: SILENCE_MS,
      maxRetriesPerRequest: null,
      retryStrategy: (attempt: number) => (isClosed ? null : Math.min(50 * attempt, 1_000)),
    },
    async close(worker) {
      await worker.pause(true)
      await Promise.race([Promise.allSettled(underWay), sleep(CLOSE_MS)])
      isClosed = true
      await Promise.race([worker.close(true), sleep(CLOSE_MS)])
    },
    follow(work) {
      underWay.add(work)
      void work.catch(() => undefined).finally(() => underWay.delete(work))
      return work
    },
  }
}
