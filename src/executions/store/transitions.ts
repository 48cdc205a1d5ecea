import type { NewEvent } from '../../protocol/events.js'
import type { Priority } from '../../protocol/execute-request.js'
import type { ExecutionKind, Outcome, Payment, RetryReason, Usage } from '../../protocol/execution.js'
import type { PublicJwk } from '../../protocol/receipt.js'
import type { BudgetChange, BudgetRefusal } from '../../protocol/usage.js'
import type { WorkspaceEvidence } from '../../protocol/verification.js'
import type { StoredStep } from '../../schedules/schedule-store.js'
import type { EndFigures } from '../../telemetry/figure-fields.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { Grant } from '../records/grant.js'
import type { ListedTask } from '../records/listed-task.js'
import type { WantedBudget } from '../records/plan-budget.js'
import type { Parked } from './parked.js'

/** What a submission fixes of a record. */
export type NewRecord = Pick<
  ExecutionRecord,
  | 'id'
  | 'owner'
  | 'request'
  | 'requestDigest'
  | 'priority'
  | 'createdAt'
  | 'timeoutEstimate'
  | 'model'
  | 'dailyBudget'
  | 'metadata'
  | 'simulated'
  | 'parentId'
  | 'taskIndex'
  | 'taskCount'
  | 'scheduleId'
  | 'trace'
> & {
  readonly kind?: ExecutionKind
  /** With a session these are the session's own. */
  readonly workspace?: string
  readonly workspaceLock?: string
  readonly grant?: Grant
  readonly session?: WantedSession
  readonly queueDeadline?: number
  /** The moment of its schedule, which is settled in the same step. */
  readonly planned?: StoredStep
  /** Of a follow-up, whose time in the queue begins with its turn. */
  readonly queueTimeoutMs?: number
  readonly idempotencyKey?: string
  /** Under what its duration is remembered. */
  readonly fingerprints?: readonly string[]
  /** Reserved in the same step, or refused. */
  readonly wantedBudget?: WantedBudget
}

/** A conversation to go on with. */
export interface WantedSession {
  /** An execution, or a Claude session. */
  readonly reference: string
  readonly fork: boolean
  /** Where the caller believes it to be. */
  readonly workspace?: string
  /** What an older API has named by its path below it has a name, and an owner, from now on. */
  readonly workspaceRoot: string
  /** It waits for its turn in the session. */
  readonly follows?: boolean
}

export interface SessionRefusal {
  readonly why: 'unknown' | 'unstarted' | 'list' | 'busy' | 'other_model' | 'elsewhere' | 'not_owned'
  /**
   * busy: the execution that has it; other_model: '1' where the new one is simulated and the session is not; elsewhere
   * and not_owned: its workspace.
   */
  readonly detail: string
}

export type CreateAnswer =
  /** The record as it would be read, where that is known without reading it. */
  | { readonly kind: 'created'; readonly record?: ExecutionRecord }
  | { readonly kind: 'replayed'; readonly id: string }
  | { readonly kind: 'conflict'; readonly id: string }
  /** settled: the moment of its schedule. */
  | { readonly kind: 'full' | 'withdrawn' | 'settled' }
  /** For the end of those that have its session: there is no job for it until then. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'refused'; readonly refusal: SessionRefusal }
  | { readonly kind: 'over'; readonly refusal: BudgetRefusal }

/** What a worker could pay with; the script chooses. */
export interface CredentialOffer {
  readonly name: string
  /** Its share of the executions, against those of the others. */
  readonly weight: number
  /** A number in SandboxLevel; -1: none. */
  readonly highestSandbox: number
}

export type ClaimAnswer =
  | {
      readonly kind: 'claimed'
      /** Another one than the job's where that is due first. */
      readonly executionId: string
      readonly fence: string
      readonly lastSeq: number
      readonly attempt: number
      readonly storedBytes: number
      /** By name, of those that were offered. */
      readonly credential: string
      /** How many have been sent to it. */
      readonly messages: number
      /** Others whose turn has come as well. */
      readonly ready: readonly ReadyExecution[]
    }
  | { readonly kind: 'refused'; readonly state: string }
  | { readonly kind: 'expired'; readonly executionId: string }
  /** The limits of all of this worker's credentials are reached, for so long. */
  | { readonly kind: 'blocked'; readonly waitMs: number }
  | { readonly kind: 'parked'; readonly ready: readonly ReadyExecution[] }
  /** It wants a sandbox that this worker does not have, or has with a credential whose limit is reached. */
  | { readonly kind: 'unsuited' }

/** `ready`: those whose turn has come. */
export interface PlacesAnswer {
  readonly kind: 'taken' | 'parked' | 'cancelled' | 'stale' | 'refused'
  readonly ready: readonly ReadyExecution[]
}

export type StartAnswer =
  /** `batches`: the log so far, where it is short. */
  | { readonly kind: 'started'; readonly lastSeq: number; readonly batches: readonly string[] }
  | { readonly kind: 'stale' | 'cancelled' }

export interface PendingRequests {
  /** How many have been sent to it. */
  readonly messages?: number
  readonly cancel?: { readonly by: string; readonly reason?: string }
  readonly pause?: { readonly wanted: boolean; readonly by: string; readonly reason?: string }
  /** How many approvals of the execution have been closed so far, by whomever. */
  readonly approvalsClosed?: number
  /** All of them, from the acceptance on. */
  readonly budgetChanges?: readonly BudgetChange[]
}

/** An execution whose turn has come: somebody must put a job into the queue for it. */
export interface ReadyExecution {
  readonly executionId: string
  readonly claim: number
  readonly priority: Priority
}

/** What an attempt teaches of how long runs take: `activeMs` without its pauses. */
export interface DurationSample {
  readonly activeMs: number
  /** `bound`: it would have taken longer; `nothing`: it says only how long a place was taken. */
  readonly outcome: 'success' | 'bound' | 'nothing'
}

/** How an execution ended, as whoever saw it tells. */
export interface Ending {
  readonly outcome: Outcome
  readonly usage?: Usage
  readonly attempt: number
  /** The event that says why, where that is not in the log yet. */
  readonly cause?: NewEvent
  readonly files?: WorkspaceEvidence
  /** Absent where no attempt was watched to its end. */
  readonly durationSample?: DurationSample
  /** As the CLI named it. */
  readonly model?: string
  /** Of a task list. */
  readonly tasks?: readonly ListedTask[]
}

/** The event of an approval's end; `id`: of a pending one, which is withdrawn with it. */
export interface ClosingApproval {
  readonly id?: string
  readonly event: NewEvent
}

/** An ending as it is stored. */
export interface Conclusion extends Ending {
  /** Of approvals whose end the log does not tell yet, before the cause. */
  readonly closing?: readonly ClosingApproval[]
  readonly usage: Usage
  readonly finishedAt: Date
}

/** The signed receipt of a conclusion, which holds only for a log that ends where it was read. */
export interface Seal {
  readonly receipt: string
  readonly finishedSeq: number
  /** The whole log with its last events, packed, in place of its entries. */
  readonly log?: Buffer | undefined
  readonly key: PublicJwk
  /** As the receipt has it. */
  readonly paidBy?: readonly Payment[]
  /** What the end adds to the metrics, where they are on. */
  readonly figures?: EndFigures | undefined
}

export type ConcludeAnswer =
  /** `parentId`: the task list that must now go on. */
  | {
      readonly kind: 'concluded'
      readonly ready: readonly ReadyExecution[]
      readonly parentId?: string
      /** A follow-up whose turn never comes. */
      readonly orphanId?: string
    }
  | { readonly kind: 'refused'; readonly state: string }
  /** moved: the log has gone on since the receipt was made, which must be made anew. */
  | { readonly kind: 'stale' | 'alive' | 'moved' }

export type RequeueAnswer =
  | { readonly kind: 'requeued'; readonly ready: ReadyExecution }
  /** A cancel was requested meanwhile. */
  | { readonly kind: 'cancelled'; readonly by: string; readonly reason?: string }
  | { readonly kind: 'exhausted' | 'refused' }

/** What leads from an attempt to the next one. */
export interface Retry {
  readonly reason: RetryReason
  readonly message: string
  /** The next one waits for a decision. */
  readonly parked?: Parked
  /** For how long the attempts ran whose timeout the next one takes up. */
  readonly ranMs?: number
  /** Of all attempts so far. */
  readonly usage: Usage
  /** The attempt that is over; where it has not started, the one before it. */
  readonly attempt: number
  /** Of an attempt that has not started: how many such starts have failed. */
  readonly failedStarts?: number
  /** How many attempts so far count for nothing. */
  readonly spared: number
  /** Of all attempts so far, by the credential that paid. */
  readonly paidBy?: readonly Payment[]
  readonly at: Date
  readonly notBefore?: Date
  readonly queueDeadline?: Date
  readonly closing?: readonly ClosingApproval[]
}

export type RetryAnswer =
  | {
      readonly kind: 'retrying'
      readonly ready: ReadyExecution
      /** Who may begin in its place, where it has to wait. */
      readonly others: readonly ReadyExecution[]
    }
  /** Others whose turn has come, as it is at work no more. */
  | { readonly kind: 'parked'; readonly ready: readonly ReadyExecution[] }
  /** A cancel was requested meanwhile. */
  | { readonly kind: 'cancelled'; readonly by: string; readonly reason?: string }
  | { readonly kind: 'refused'; readonly state: string }
  /** moved: its limits have been changed meanwhile. */
  | { readonly kind: 'moved' | 'stale' | 'alive' }
