import type { InstalledClaude } from '../../claude/behaviour.js'
import type { Containment } from '../../claude/stream/spawn-claude.js'
import type { HookLedger } from '../../hooks/hook-ledger.js'
import type { Hooks } from '../../hooks/hooks-file.js'
import type { CredentialPool } from './credential-pool.js'
import type { GitIdentity } from '../../platform/git-identity.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import type { DomainServices } from '../services.js'
import type { HeldRuns } from './held-runs.js'
import type { Standby } from './standby.js'
import type { StartGate } from './start-gate.js'

/** What a worker needs to run an execution. */
export interface RunServices extends DomainServices {
  readonly workerId: string
  /** Distinguishes this deployment's processes on a host from those of another one. */
  readonly deploymentId: string
  readonly containment: Containment
  /** undefined: there is no CLI. How it behaves may be known better later. */
  readonly claude: InstalledClaude | undefined
  /** What its runs pay with. */
  readonly credentials: CredentialPool
  /** The operator's, as they were when the worker started. */
  readonly hooks: Hooks
  readonly hookLedger: HookLedger
  /** Who the runs are in git. */
  readonly gitIdentity: () => Promise<GitIdentity>
  readonly startGate: StartGate
  readonly heldRuns: HeldRuns
  readonly standby: Standby
  /** Of the operator's secrets; a run has its own besides. */
  readonly mask: SecretMask
  /**
   * The runs of this worker, by execution id, so that a notification finds its lease. `isRunning`: the CLI was let go,
   * and something of it is alive.
   */
  readonly live: Map<string, { renewNow(): void; readonly marker: string; isRunning(): boolean }>
}
