import { sleep } from '../../platform/abort-signals.js'
import type { Logger } from '../../platform/logger.js'

const RETRY_MS = 500

/**
 * Stores how an attempt ended; while Redis is away it tries again until the lease is over, when others may. @throws
 * what storing threw, then
 */
export async function persistEnd<Answer>(
  logger: Logger,
  executionId: string,
  isLost: () => boolean,
  store: () => Promise<Answer>,
): Promise<Answer> {
  for (;;) {
    try {
      return await store()
    } catch (error) {
      if (isLost()) throw error
      logger.warn({ executionId, error: String(error) }, 'the end of an attempt could not be stored; trying again')
      await sleep(RETRY_MS)
    }
  }
}
