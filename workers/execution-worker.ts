import { Worker } from 'bullmq'
import type { RunServices } from '../src/executions/run-services.js'
import { keyRoot, redisOptions } from '../src/platform/redis.js'
import { QUEUE_NAME, type ExecutionJob } from '../src/queue/execution-queue.js'
import { workerSettings } from '../src/queue/queue-settings.js'
import { createProcessor } from './execution-processor.js'

export interface ExecutionWorker {
  /** Executions in its hands. */
  readonly running: () => number
  readonly isDraining: () => boolean
  /** Takes no new job, gives the running ones so long, then ends them honestly; resolves when all are concluded. Idempotent. */
  close(drainMs: number): Promise<void>
}

/** Opens BullMQ's worker on the queue. */
export function openExecutionWorker(services: RunServices, redisUrl: string): ExecutionWorker {
  const { config, logger, workerId } = services
  const stop = new AbortController()
  let running = 0
  let closing: Promise<void> | undefined
  const process = createProcessor(services, stop.signal)
  const worker = new Worker<ExecutionJob>(
    QUEUE_NAME,
    async (job) => {
      running += 1
      try {
        return await process(job)
      } finally {
        running -= 1
      }
    },
    {
      ...workerSettings(config),
      name: workerId,
      prefix: keyRoot(config.prefix),
      connection: { ...redisOptions(redisUrl), maxRetriesPerRequest: null, retryStrategy: (attempt: number) => Math.min(50 * attempt, 1_000) },
    },
  )
  worker.on('error', (error) => logger.debug({ error: error.message }, 'queue worker'))
  // The fence in the record is what counts; BullMQ's own lock only keeps its books.
  worker.on('lockRenewalFailed', (jobIds: string[]) => logger.warn({ jobIds }, 'BullMQ could not renew its lock'))

  async function drain(drainMs: number): Promise<void> {
    await worker.pause(true)
    const settled = worker.close()
    const timer = setTimeout(() => stop.abort('The worker was stopped before the run had ended; what was produced until then is kept.'), drainMs)
    try {
      await settled
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    running: () => running,
    isDraining: () => closing !== undefined,
    close: (drainMs) => (closing ??= drain(drainMs)),
  }
}
