import { sleep } from '../../platform/abort-signals.js'
import type { Logger } from '../../platform/logger.js'

export interface Repetition {
  /** Resolves when the last round is over. */
  close(): Promise<void>
}

/**
 * Does something again and again, one round after the other; a failed round is told at debug and the next one comes.
 */
export function repeat(name: string, intervalMs: number, logger: Logger, round: () => Promise<unknown>): Repetition {
  const stop = new AbortController()
  const rounds = (async () => {
    while (!stop.signal.aborted) {
      await round().catch((error: unknown) =>
        logger.debug({ name, err: error }, 'housekeeping failed; it will be retried'),
      )
      await sleep(intervalMs, stop.signal)
    }
  })()
  return {
    async close() {
      stop.abort()
      await rounds
    },
  }
}
