import type { DomainServices } from '../services.js'

/** Tells the workers of a request. A message that fails costs time only: the worker reads the request with its next renewal. */
export async function notifyWorkers({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'wish', executionId }).catch((error: unknown) =>
    logger.debug({ executionId, error: String(error) }, 'control message not sent'),
  )
}
