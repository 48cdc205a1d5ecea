import type { ParkReason } from '../../protocol/execution.js'

/** What an execution is parked for. */
export interface Parked {
  readonly reason: ParkReason
  readonly until: Date
  /** It goes on by itself then. */
  readonly notBefore?: Date
  /** At its limits: how many changes of them were known when this was decided. Another one comes first. */
  readonly budgetRevision?: number
  /** The one that it waits for, which stays pending. */
  readonly approvalId?: string
}
