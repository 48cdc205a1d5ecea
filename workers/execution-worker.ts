import { Worker, type Job } from 'bullmq'
import type { RunServices } from '../src/executions/claim/run-services.js'
import { createSharedStop, sleep } from '../src/platform/abort-signals.js'
import type { BoundedWait } from '../src/platform/bounded-wait.js'
import { keyRoot } from '../src/platform/redis.js'
import { QUEUE_NAME, type ExecutionJob } from '../src/queue/execution-queue.js'
import { workerSettings } from '../src/queue/queue-settings.js'
import { createProcessor } from './execution-processor.js'
import { createPause } from './pause-worker.js'
import { openWorkerConnection } from './worker-connection.js'

const FORGET_MS = 1_000
/**
 * BullMQ's blocking connection may never end when it was reconnecting as we closed it; what its books miss, its own
 * check for stalled jobs sees.
 */
const BOOKS_MS = 2_000
const LOOK_MS = 100
/**
 * Interrupt, SIGTERM and SIGKILL with their deadlines: so long after the drain time no process of a run is left,
 * whatever it waits for.
 */
const ENDING_MS = 7_000

export interface ExecutionWorker {
  /** Executions in its hands. */
  readonly running: () => number
  readonly isDraining: () => boolean
  /** Held, it takes no new job until it is let go again; what runs goes on. */
  readonly setHeld: (isHeld: boolean) => void
  /** A wait for a credential's limit may be over before its time: there may be another credential now. */
  readonly lookAgain: () => void
  /**
   * Takes no new job, gives the running ones so long, then ends them honestly; resolves when all are concluded, or are
   * over and
   * Redis takes no word of it. Idempotent.
   */
  close(drainMs: number, wait: BoundedWait): Promise<void>
}

/** Opens BullMQ's worker on the queue. */
export function openExecutionWorker(services: RunServices, redisUrl: string): ExecutionWorker {
  const { config, live, logger, queue, store, workerId } = services
  const stop = createSharedStop()
  let running = 0
  let closing: Promise<void> | undefined
  const processJob = createProcessor(services, stop.signal, (waitMs) => pause.for(waitMs))
  const worker = new Worker<ExecutionJob>(
    QUEUE_NAME,
    async (job, token) => {
      running += 1
      try {
        return await processJob(job, token)
      } finally {
        running -= 1
      }
    },
    {
      ...workerSettings(config),
      name: workerId,
      prefix: keyRoot(config.prefix),
      // The start has looked at Redis, and says in a sentence of its own what is wrong with it.
      skipVersionCheck: true,
      connection: openWorkerConnection({ url: redisUrl, access: config.redisAccess }).options,
    },
  )
  const pause = createPause(worker, (error) => logger.warn({ err: error }, 'the worker could not be paused or resumed'))
  worker.on('error', (error) => logger.debug({ err: error }, 'queue worker'))
  // The fence in the record is what counts; BullMQ's own lock only keeps its books.
  worker.on('lockRenewalFailed', (jobIds: string[]) => logger.warn({ jobIds }, 'BullMQ could not renew its lock'))

  /**
   * A deletion cannot take away a job that is still in our hands; so whoever lets go of one looks whether it is wanted.
   */
  const forgetting = new Set<Promise<void>>()
  async function forgetIfDeleted(job: ExecutionJob): Promise<void> {
    if (!(await store.exists(job.executionId))) await queue.remove(job)
  }
  const onSettled = (job: Job<ExecutionJob> | undefined): void => {
    if (!job) return
    const round = forgetIfDeleted(job.data)
      .catch((error: unknown) =>
        logger.debug({ executionId: job.data.executionId, err: error }, 'its job could not be removed'),
      )
      .finally(() => forgetting.delete(round))
    forgetting.add(round)
  }
  worker.on('completed', onSettled)
  worker.on('failed', onSettled)

  /** No job has been in our hands for so long that BullMQ must have heard of the last one's end. */
  async function untilIdle(signal: AbortSignal): Promise<void> {
    for (let busyAt = performance.now(); performance.now() - busyAt < BOOKS_MS && !signal.aborted;) {
      await sleep(LOOK_MS, signal)
      if (running > 0) busyAt = performance.now()
    }
  }

  async function drain(drainMs: number, wait: BoundedWait): Promise<void> {
    pause.close()
    await worker.pause(true)
    const closed = new AbortController()
    const settled = Promise.race([worker.close(), untilIdle(closed.signal)]).finally(() => closed.abort())
    let stoppedAt = Infinity
    const timer = setTimeout(() => {
      stoppedAt = performance.now()
      stop.abort('The worker was stopped before the run had ended; what was produced until then is kept.')
    }, drainMs)
    const mayLeave = (): boolean =>
      running === 0 ||
      (stop.signal.aborted &&
        ([...live.values()].every((run) => !run.isRunning()) || performance.now() - stoppedAt > ENDING_MS))
    try {
      if (await wait.for(settled, mayLeave)) {
        // While Redis is away these wait for it; what they would remove then goes with its own time.
        await Promise.race([Promise.all(forgetting), sleep(FORGET_MS)])
      } else if (live.size > 0) {
        logger.error(
          { executionIds: [...live.keys()] },
          'Redis does not accept writes: the end of these runs could not be stored; a worker will do it when ' +
            'Redis is back',
        )
      }
    } finally {
      clearTimeout(timer)
      closed.abort()
    }
  }

  return {
    running: () => running,
    isDraining: () => closing !== undefined,
    setHeld: (isHeld) => pause.setHeld(isHeld),
    lookAgain: () => pause.end(),
    close: (drainMs, wait) => (closing ??= drain(drainMs, wait)),
  }
}
