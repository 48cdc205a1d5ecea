import type { Failure } from '../../claude/stream/classify-failure.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { Outcome, RetryReason } from '../../protocol/execution.js'
import type { NextReason } from '../records/execution-record.js'
import type { Parked } from '../store/parked.js'

/** The first wait; each further one is twice as long. */
const BACKOFF_MS = 5_000
const BACKOFF_LIMIT_MS = 5 * 60_000
/** No limit of Claude's lasts longer: who names a later end is not believed, and asked again then. */
const LONGEST_LIMIT_MS = 7 * 24 * 60 * 60 * 1_000
/** Claude's word on when a limit is over is taken so often; a service that says it again and again is broken. */
const SPARED_LIMIT = 50

/** Which attempts there have been. */
export interface Attempts {
  /** All of them, the one that is over included. */
  readonly made: number
  /** Those of them that count for nothing. */
  readonly spared: number
}

export interface RetryPlan {
  readonly reason: RetryReason
  readonly message: string
  /** The attempt that is over counts for nothing. */
  readonly isSpared: boolean
  /** Absent: as soon as a worker is free. */
  readonly notBefore?: Date
  /**
   * It is parked: the next one waits for a decision (`unparkExecution`), or for `notBefore`. `budgetRevision`: where it
   * has met its limits, how many changes of them are known. `approvalId`: what has to be decided.
   */
  readonly parked?: Omit<Parked, 'notBefore'>
  /** The next attempt takes up the timeout of this one. */
  readonly keepsClock?: boolean
}

export const toLimitEnd = (resetsAt: Date, now: Date): Date =>
  new Date(Math.min(resetsAt.getTime(), now.getTime() + LONGEST_LIMIT_MS))

type Limits = Pick<RunRequest, 'maxAttempts' | 'queueTimeoutSeconds'>

/** Whoever does not want to wait that long in the queue does not want to be put there. */
function fits({ notBefore }: RetryPlan, { queueTimeoutSeconds }: Limits, now: Date): boolean {
  return (
    notBefore === undefined ||
    queueTimeoutSeconds === undefined ||
    notBefore.getTime() - now.getTime() <= queueTimeoutSeconds * 1_000
  )
}

/**
 * Whether an attempt that failed is followed by another one. `now` by Redis' clock, `jitter` from 0 to 1.
 *
 * | failure | follows | counts |
 * | limit with a reset time | always, after that time | no |
 * | transient | while attempts are left, with backoff | yes |
 * | lasting | never | |
 *
 * How the next one begins, afresh or in the same session, is decided when it does (planBeginning).
 */
export function planRetry(
  failure: Failure,
  outcome: Outcome,
  attempts: Attempts,
  limits: Limits,
  now: Date,
  jitter = Math.random(),
): RetryPlan | undefined {
  const plan = toPlan(failure, outcome, attempts, limits, now, jitter)
  return plan && fits(plan, limits, now) ? plan : undefined
}

function toPlan(
  failure: Failure,
  { code, message = '' }: Outcome,
  { made, spared }: Attempts,
  { maxAttempts }: Limits,
  now: Date,
  jitter: number,
): RetryPlan | undefined {
  if (failure.kind === 'lasting' || code === undefined) return undefined
  if (failure.kind === 'limit')
    return spared < SPARED_LIMIT
      ? {
          reason: code,
          message,
          isSpared: true,
          notBefore: new Date(Math.max(toLimitEnd(failure.resetsAt, now).getTime(), now.getTime() + BACKOFF_MS)),
        }
      : undefined
  const used = made - spared
  if (used >= maxAttempts) return undefined
  const backoffMs = Math.min(BACKOFF_LIMIT_MS, BACKOFF_MS * 2 ** (used - 1))
  return {
    reason: code,
    message,
    isSpared: false,
    notBefore: new Date(now.getTime() + Math.round(backoffMs * (0.75 + jitter / 2))),
  }
}

/** The limit of its credential is reached, and another credential is free: at once, and it counts for nothing. */
export const planElsewhere = (
  { code, message = '' }: Outcome,
  { spared }: Pick<Attempts, 'spared'>,
): RetryPlan | undefined =>
  code !== undefined && spared < SPARED_LIMIT ? { reason: code, message, isSpared: true } : undefined

/** An attempt that has gone on for so long has had its access for a good part of it. */
const LONG_ATTEMPT_MS = 10 * 60_000

/**
 * The API would not take a run's access token any more, and there is another one: at once, and it counts for nothing.
 * Not twice in a row, unless the attempt went on for a while: then it is not the token that is at fault.
 */
export function planRenewal(
  { code, message = '' }: Outcome,
  before: NextReason | undefined,
  activeMs: number,
): RetryPlan | undefined {
  if (code !== 'CLAUDE_NOT_AUTHENTICATED') return undefined
  return before === code && activeMs < LONG_ATTEMPT_MS ? undefined : { reason: code, message, isSpared: true }
}

/** A worker was lost, or is being stopped: only where it was asked for, and a stop counts for nothing. */
export function planContinuation(
  reason: 'WORKER_LOST' | 'WORKER_STOPPING',
  message: string,
  { made, spared }: Attempts,
  run: Pick<RunRequest, 'maxAttempts' | 'onWorkerLost'>,
): RetryPlan | undefined {
  if (run.onWorkerLost !== 'continue') return undefined
  if (reason === 'WORKER_STOPPING') return { reason, message, isSpared: true }
  return made - spared < run.maxAttempts ? { reason, message, isSpared: false } : undefined
}
