import { forgetTraces } from '../control/delete-execution.js'
import type { DomainServices } from '../services.js'

/** So many in one script: Redis answers nobody else meanwhile. */
const BATCH = 50

/**
 * Forgets the oldest finished executions as long as all of them together take more than `retentionBytes`, or are more
 * than `retentionCount`.
 * Safe to run twice, and beside others: each is counted and uncounted in the script that makes or removes it.
 */
export async function retainExecutions(services: DomainServices): Promise<void> {
  const { store, config, logger } = services
  for (let isMore = true; isMore;) {
    const forgotten = await store.retain({ bytes: config.retentionBytes, executions: config.retentionCount }, BATCH)
    for (const { id, claim } of forgotten) {
      logger.info(
        { executionId: id },
        'forgotten before its time: what is kept has reached CC_EXECUTOR_RETENTION_BYTES or CC_EXECUTOR_RETENTION_COUNT',
      )
      await forgetTraces(services, id, claim)
    }
    isMore = forgotten.length >= BATCH
  }
}
