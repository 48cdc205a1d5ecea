import { Queue } from 'bullmq'
import type { Logger } from '../platform/logger.js'
import { closeRedis, keyRoot, openRedis, type RedisTarget } from '../platform/redis.js'
import type { Priority } from '../protocol/execute-request.js'

/** BullMQ's name of the one queue; its keys are `{prefix}:executions:*`. */
export const QUEUE_NAME = 'executions'

/** All that a job carries: the record is the truth, the job only leads to it. */
export interface ExecutionJob {
  readonly executionId: string
  /** Counts how often the execution was queued; a job of an older claim is refused. */
  readonly claim: number
}

/** BullMQ runs lower numbers first, and jobs without a priority before all others: so each job has one. */
const BULLMQ_PRIORITY: Record<Priority, number> = { high: 1, normal: 2, low: 3 }
/** Finished jobs are kept so long for BullMQ dashboards; nothing here reads them. */
const KEEP_FINISHED = { age: 3_600, count: 1_000 }

export interface ExecutionQueue {
  /** Safe to repeat: the job's id is `<executionId>-<claim>`. */
  enqueue(job: ExecutionJob, priority: Priority): Promise<void>
  /** Whether a job is still on its way to a worker. One that a worker has may be used for another execution. */
  isOnItsWay(job: ExecutionJob): Promise<boolean>
  /** How many jobs are on their way, or in a worker's hands. */
  countJobs(): Promise<number>
  /** Forgets the jobs of an execution, as far as no worker holds them. */
  remove(job: ExecutionJob): Promise<void>
  close(): Promise<void>
}

const jobIdOf = ({ executionId, claim }: ExecutionJob): string => `${executionId}-${claim}`

export function openExecutionQueue({
  url,
  access,
  prefix,
  logger,
}: RedisTarget & { prefix: string; logger: Logger }): ExecutionQueue {
  const redis = openRedis({ url, access, logger, role: 'caller' })
  const queue = new Queue<ExecutionJob>(QUEUE_NAME, {
    prefix: keyRoot(prefix),
    connection: redis,
    // The start has looked at Redis, and says in a sentence of its own what is wrong with it.
    skipVersionCheck: true,
    defaultJobOptions: { attempts: 1, removeOnComplete: KEEP_FINISHED, removeOnFail: KEEP_FINISHED },
  })
  queue.on('error', (error) => logger.debug({ err: error }, 'queue connection'))
  return {
    async enqueue(job, priority) {
      await queue.add('execution', job, { jobId: jobIdOf(job), priority: BULLMQ_PRIORITY[priority] })
    },
    async isOnItsWay(job) {
      const state = await queue.getJobState(jobIdOf(job))
      return state !== 'unknown' && state !== 'completed' && state !== 'failed' && state !== 'active'
    },
    async countJobs() {
      return queue.getJobCountByTypes('wait', 'prioritized', 'delayed', 'active')
    },
    async remove(job) {
      // An active job is locked by its worker, which will find the record gone; that is no failure.
      await queue.remove(jobIdOf(job)).catch(() => 0)
    },
    async close() {
      await queue.close()
      closeRedis(redis)
    },
  }
}
