import { StandbyPool } from '../../executions/standby/standby-pool.js'
import type { RunServices } from '../../executions/claim/run-services.js'
import { repeat } from './repeat.js'

const CHECK_INTERVAL_MS = 5_000
/** Where so much is free a CLI that waits is no burden. */
const ROOMY_BYTES = 4 * 1024 ** 3

export interface OpenStandby {
  readonly pool: StandbyPool
  close(): Promise<void>
}

/** The CLIs on standby of a worker; they begin to start now. */
export function openStandby(
  services: RunServices,
  { mayStart, onReady }: { readonly mayStart: () => boolean; readonly onReady: () => void },
): OpenStandby {
  const size = services.config.standby ?? (process.availableMemory() >= ROOMY_BYTES ? 1 : 0)
  const pool = new StandbyPool({ services, size, mayStart, onReady })
  const checks = size === 0 ? undefined : repeat('standby', CHECK_INTERVAL_MS, services.logger, () => pool.check())
  return {
    pool,
    async close() {
      await Promise.all([checks?.close(), pool.close()])
    },
  }
}
