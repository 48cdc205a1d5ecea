import type { DomainServices } from '../services.js'

/** Has the workers read a request. A failed message costs only time: each renewal of the lease reads it, too. */
export async function notifyWorkers({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'wish', executionId }).catch((error: unknown) =>
    logger.debug({ executionId, error: String(error) }, 'control message not sent'),
  )
}
