import { Queue } from 'bullmq'
import type { Logger } from '../platform/logger.js'
import { closeRedis, keyRoot, openRedis, type RedisTarget } from '../platform/redis.js'

/** BullMQ's name of the queue of webhooks; its keys are `{prefix}:webhook-turns:*`. */
export const WEBHOOK_QUEUE_NAME = 'webhook-turns'

/** All that a job carries: the turn in Redis is the truth, the job only leads to it. */
export interface TurnJob {
  readonly webhookId: string
  readonly line: string
  readonly fence: string
}

export interface WebhookQueue {
  /** Safe to repeat: the job's id is the turn's fence. */
  enqueue(turns: readonly TurnJob[]): Promise<void>
  close(): Promise<void>
}

export function openWebhookQueue({
  url,
  access,
  prefix,
  logger,
}: RedisTarget & { prefix: string; logger: Logger }): WebhookQueue {
  const redis = openRedis({ url, access, logger, role: 'caller' })
  const queue = new Queue<TurnJob>(WEBHOOK_QUEUE_NAME, {
    prefix: keyRoot(prefix),
    connection: redis,
    skipVersionCheck: true,
    // A turn that is lost ends by itself, and its line is due again: nothing is retried here, and nothing kept.
    defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  })
  queue.on('error', (error) => logger.debug({ err: error }, 'queue connection of webhooks'))
  return {
    async enqueue(turns) {
      await queue.addBulk(turns.map((data) => ({ name: 'turn', data, opts: { jobId: `turn-${data.fence}` } })))
    },
    async close() {
      await queue.close()
      closeRedis(redis)
    },
  }
}
