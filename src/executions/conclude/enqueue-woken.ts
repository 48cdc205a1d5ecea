import type { Woken } from '../store/store-answers.js'
import type { DomainServices } from '../services.js'

/** Puts a job into the queue for each execution whose turn has come; where that fails the sweep does it. */
export async function enqueueWoken({ queue, logger }: DomainServices, ...woken: readonly Woken[]): Promise<void> {
  for (const { executionId, claim, priority } of woken)
    await queue.enqueue({ executionId, claim }, priority).catch((error: unknown) => {
      logger.warn({ executionId, error: String(error) }, 'not queued; the sweep will do it')
    })
}
