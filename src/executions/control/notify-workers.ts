import type { DomainServices } from '../services.js'

/** Has the workers read a request. A failed message costs only time: each renewal of the lease reads it, too. */
export async function notifyWorkers({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'wish', executionId }).catch((err: unknown) =>
    logger.debug({ executionId, err }, 'control message not sent'),
  )
}
