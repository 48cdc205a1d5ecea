import { forgetTraces } from '../control/delete-execution.js'
import type { DomainServices } from '../services.js'

/** So many in one script: Redis answers nobody else meanwhile. */
const BATCH = 50

/** Between two rounds of processes with the same limits. */
const INTERVAL_MS = 1_000

/**
 * Forgets the oldest finished executions as long as all of them together take more than `retentionBytes`, or are more
 * than `retentionCount`. One process at a time for each pair of limits: of several settings the smallest holds, and a
 * process whose setting it is does not wait for one that has another.
 * Safe to run twice, and beside others: each is counted and uncounted in the script that makes or removes it.
 */
export async function retainExecutions(services: DomainServices): Promise<void> {
  const { store, config, logger } = services
  if (!(await store.tryLock(`retain-${config.retentionBytes}-${config.retentionCount}`, INTERVAL_MS))) return
  for (let isMore = true; isMore;) {
    const forgotten = await store.retain({ bytes: config.retentionBytes, executions: config.retentionCount }, BATCH)
    for (const { id, claim } of forgotten) {
      logger.info(
        { executionId: id },
        'deleted early: the retained data has reached CC_EXECUTOR_RETENTION_BYTES or CC_EXECUTOR_RETENTION_COUNT',
      )
      await forgetTraces(services, id, claim)
    }
    isMore = forgotten.length >= BATCH
  }
}
