import type { ReadyExecution } from '../store/transitions.js'
import type { DomainServices } from '../services.js'

/** Puts a job into the queue for each execution whose turn has come; where that fails the sweep does it. */
export async function enqueueReady(
  { queue, logger }: DomainServices,
  ...ready: readonly ReadyExecution[]
): Promise<void> {
  for (const { executionId, claim, priority } of ready)
    await queue.enqueue({ executionId, claim }, priority).catch((err: unknown) => {
      logger.warn({ executionId, err }, 'not queued; the sweep will do it')
    })
}
