import type { DomainServices } from '../services.js'

/** Tells the workers of a wish. A nudge that fails costs time only: the worker reads the wish with its next renewal. */
export async function nudge({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'wish', executionId }).catch((error: unknown) =>
    logger.debug({ executionId, error: String(error) }, 'nudge not sent'),
  )
}
