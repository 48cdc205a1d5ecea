import type { Outcome } from '../../protocol/execution.js'
import {
  planContinuation,
  planRenewal,
  planRetry,
  toLimitEnd,
  type Attempts,
  type RetryPlan,
} from '../conclude/plan-retry.js'
import type { HeldClaim } from './held-claim.js'
import type { PreparedRun } from './prepared-run.js'
import type { AttemptReport } from './run-attempt.js'
import type { OtherLogin } from './run-login.js'

export interface NextAttempt {
  /** Of the attempt that is over. */
  readonly outcome: Outcome
  readonly attempts: Attempts
  /** undefined: none follows. */
  readonly plan: RetryPlan | undefined
}

/**
 * Whether an attempt is followed by another one.
 *
 * | the attempt | is followed |
 * | ended because its worker stops | by another worker's, where the request says so |
 * | could not use its login, and there is another one | at once |
 * | failed for a limit or for a while | by planRetry's rules |
 * | otherwise | by none |
 */
export async function planNextAttempt(
  claim: HeldClaim,
  { record, run, reach }: PreparedRun,
  { outcome: ended, failure: seen, activeMs }: AttemptReport,
): Promise<NextAttempt> {
  const { store, credential } = claim.services
  const { code } = ended
  const attempts = { made: claim.attempt, spared: record.spared }
  const tries = { ...attempts, made: attempts.made + record.failedStarts }
  const renewal = planRenewal(ended, record.retryReason, activeMs)
  const isAnswered = claim.leaving === 'lost' || code === undefined || (code === 'CLAUDE_NOT_AUTHENTICATED' && !renewal)
  const other: OtherLogin = isAnswered ? { kind: 'none' } : await reach.findOtherLogin(code)
  const sandbox = reach.outcome()
  // The API has refused one access token; whether the login is void is not known.
  const [outcome, failure]: [Outcome, AttemptReport['failure']] =
    other.kind === 'unknown'
      ? [{ ...ended, code: 'CLAUDE_OVERLOADED', message: other.why, sandbox }, { kind: 'transient' }]
      : [{ ...ended, sandbox }, seen]
  if (outcome.code === 'WORKER_LOST' && claim.leaving === 'stopping') {
    const message = 'The worker was stopped; another one continues the session.'
    return { outcome, attempts, plan: planContinuation('WORKER_STOPPING', message, tries, run) }
  }
  if (failure.kind === 'lasting') return { outcome, attempts, plan: other.kind === 'another' ? renewal : undefined }
  const now = new Date(await claim.persist(() => store.now()))
  if (failure.kind === 'limit')
    await claim.persist(() => store.blockCredential(credential, toLimitEnd(failure.resetsAt, now)))
  return { outcome, attempts, plan: planRetry(failure, outcome, tries, run, now) }
}
