import { addUsage, type Outcome, type Usage } from '../../protocol/execution.js'
import { chooseLevel } from '../claim/sandbox-levels.js'
import {
  planContinuation,
  planElsewhere,
  planRenewal,
  planRetry,
  toLimitEnd,
  type Attempts,
  type RetryPlan,
} from '../conclude/plan-retry.js'
import { planAtApproval, planAtBudget, planLostCall } from '../conclude/plan-parking.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { HeldClaim } from './held-claim.js'
import type { PreparedRun } from './prepared-run.js'
import type { AttemptReport } from './attempt-options.js'
import type { OtherLogin } from '../claim/run-reach.js'

export interface NextAttempt {
  /** Of the attempt that is over. */
  readonly outcome: Outcome
  readonly attempts: Attempts
  /** undefined: none follows. */
  readonly plan: RetryPlan | undefined
}

/** How long a limit of one of several credentials is believed in, where Claude does not say when it is over. */
const UNSAID_LIMIT_MS = 60_000

type Failure = AttemptReport['failure']

/**
 * Whether an attempt is followed by another one.
 *
 * | the attempt | is followed |
 * | was ended with a call that waits for a decision, and its session keeps that | parked |
 * | the same, and the session has lost it | at once, and is told of it |
 * | ended before it came to the call for which it was parked | at once |
 * | ended because its worker stops | by another worker's, where the request says so |
 * | could not use its credential, which has been taken away or renewed since | at once |
 * | has met the limit of one of several credentials | at once, while another one is free |
 * | has met a limit of money or tokens | by planAtBudget's rules |
 * | failed for a limit or for a while | by planRetry's rules |
 * | otherwise | by none |
 */
export async function planNextAttempt(
  claim: HeldClaim,
  { record, run, reach }: PreparedRun,
  { outcome: ended, failure: seen, activeMs, usage, left, untouched }: AttemptReport,
): Promise<NextAttempt> {
  const { services, credential } = claim
  const { code } = ended
  // What the operator has just changed counts, too.
  if (code !== undefined) services.credentials.refresh(services.logger)
  const attempts = { made: claim.attempt, spared: record.spared }
  const tries = { ...attempts, made: attempts.made + record.failedStarts }
  const renewal = planRenewal(ended, record.retryReason, activeMs)
  const isAnswered = claim.leaving === 'lost' || code === undefined || (code === 'CLAUDE_NOT_AUTHENTICATED' && !renewal)
  const isTakenAway = code === 'CLAUDE_NOT_AUTHENTICATED' && !services.credentials.has(credential)
  const other: OtherLogin = isAnswered
    ? { kind: 'none' }
    : isTakenAway
      ? { kind: 'another' }
      : await reach.findOtherLogin(code)
  const sandbox = reach.outcome()
  // The API has refused one access token; whether the login is void is not known.
  const [outcome, failure]: [Outcome, Failure] =
    other.kind === 'unknown'
      ? [{ ...ended, code: 'CLAUDE_OVERLOADED', message: other.why, sandbox }, { kind: 'transient' }]
      : [{ ...ended, sandbox }, seen]
  if (left && claim.leaving !== 'lost') {
    const { message = '' } = outcome
    return { outcome, attempts, plan: left === 'lost' ? planLostCall(message) : planAtApproval(left, message) }
  }
  if (outcome.code === 'WORKER_LOST' && claim.leaving === 'stopping' && untouched !== undefined) {
    const now = new Date(await claim.persist(() => services.store.now()))
    const plan = planAtApproval({ approvalId: untouched, until: now }, 'The worker was stopped.')
    return { outcome, attempts, plan }
  }
  if (outcome.code === 'WORKER_LOST' && claim.leaving === 'stopping') {
    const message = 'The worker was stopped; another one continues the session.'
    return { outcome, attempts, plan: planContinuation('WORKER_STOPPING', message, tries, run) }
  }
  if (code === 'BUDGET_EXCEEDED' && claim.leaving !== 'lost') {
    const atBudget = { outcome, usage: addUsage(claim.earlierUsage, usage) }
    return { outcome, attempts, plan: await planAtLimit(claim, record, run, atBudget) }
  }
  if (failure.kind === 'lasting') return { outcome, attempts, plan: other.kind === 'another' ? renewal : undefined }
  const now = new Date(await claim.persist(() => services.store.now()))
  const limit = toLimit(failure, outcome, services.credentials.list.length, now)
  if (limit === undefined) return { outcome, attempts, plan: planRetry(failure, outcome, tries, run, now) }
  // Of an account that has another name by now, others are not told.
  if (!services.credentials.isReplaced(credential))
    await claim.persist(() => services.store.blockCredential(credential.name, toLimitEnd(limit, now)))
  const freeAt = await findFree(claim, record.request.sandbox, limit)
  const plan =
    freeAt === 'now'
      ? planElsewhere(outcome, tries)
      : planRetry({ kind: 'limit', resetsAt: freeAt }, outcome, tries, run, now)
  return { outcome, attempts, plan }
}

/** By its limits as they are now: somebody may have changed them while it ran. */
export async function planAtLimit(
  claim: HeldClaim,
  { id, budgetChanges = [] }: ExecutionRecord,
  run: Parameters<typeof planAtBudget>[3],
  { outcome, usage }: { readonly outcome: Outcome; readonly usage: Usage },
): Promise<RetryPlan | undefined> {
  const { store, config } = claim.services
  const record = await claim.persist(() => store.get(id))
  const now = new Date(await claim.persist(() => store.now()))
  return record && planAtBudget(outcome, record, { usage, changes: budgetChanges.length }, run, config, now)
}

/** When the limit is over that the attempt has met; undefined: it has met none that concerns its credential alone. */
function toLimit(failure: Failure, { code }: Outcome, known: number, now: Date): Date | undefined {
  if (failure.kind === 'limit') return failure.resetsAt
  // Of a key Claude does not say it. Where there are others, the next attempt need not wait for this one.
  return code === 'CLAUDE_RATE_LIMITED' && known > 1 ? new Date(now.getTime() + UNSAID_LIMIT_MS) : undefined
}

/** Whether this worker has another credential for it whose limit is not reached, else when the first limit is over. */
async function findFree(
  claim: HeldClaim,
  level: Parameters<typeof chooseLevel>[0],
  ownEnd: Date,
): Promise<'now' | Date> {
  const { store, credentials } = claim.services
  const others = credentials
    .offer()
    .filter(({ account, sandboxes }) => account !== claim.credential.account && chooseLevel(level, sandboxes))
  if (others.length === 0) return ownEnd
  const listed = await claim.persist(() => store.listBlocked())
  const blocked = new Map(listed.map(({ credential, until }) => [credential, until.getTime()]))
  const ends = others.map(({ name }) => blocked.get(name) ?? 0)
  return ends.includes(0) ? 'now' : new Date(Math.min(ownEnd.getTime(), ...ends))
}
