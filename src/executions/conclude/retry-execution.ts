import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import { concludeExecution, type ConcludeAs, type Concluded } from './conclude-execution.js'
import { findUnrecordedApprovals } from './closing-approvals.js'
import { readLog } from './log-reading.js'
import { enqueueReady } from './enqueue-ready.js'
import type { Attempts, RetryPlan } from './plan-retry.js'
import { toPayments } from '../records/payments.js'
import type { DomainServices } from '../services.js'

export interface RetryOptions {
  /** undefined: for a holder that died, only where its lease is over. */
  readonly fence: string | undefined
  readonly plan: RetryPlan
  readonly attempts: Attempts
  /** Of an attempt that has not started: how many such starts have failed. */
  readonly failedStarts?: number
  /** Of all attempts so far. */
  readonly usage: Usage
  readonly queueTimeoutSeconds: number | undefined
  /** Of the attempts whose timeout goes on: for how long they ran. */
  readonly ranMs?: number
  /** Of the holder: as in ConcludeAs, if a cancel made it the last task of a list. */
  readonly holdListMs?: number
}

export type RetryReport =
  | { readonly kind: 'retrying' | 'parked' }
  /** Its limits have been changed since the plan was made. */
  | { readonly kind: 'moved' }
  | ({ readonly kind: 'finished'; readonly outcome: Outcome } & Concluded)
  | { readonly kind: 'not_ours' }

/**
 * Sends an execution back to the queue for its next attempt, or parks it until that may begin, which the log is told of
 * in the same step. A cancel that was requested meanwhile ends it instead. Its session and its workspace stay its own:
 * nobody else works in what it left half done.
 */
export async function retryExecution(
  services: DomainServices,
  id: string,
  { fence, plan, attempts, failedStarts, usage, queueTimeoutSeconds, ranMs, holdListMs }: RetryOptions,
): Promise<RetryReport> {
  const at = new Date(await services.store.now())
  const [record] = await services.store.getMany([id])
  const { reason, message, notBefore, isSpared, parked } = plan
  // A holder has closed its own.
  const isUnrecorded = fence === undefined && (record?.approvalCount ?? 0) > 0
  const closing = isUnrecorded ? await findUnrecordedApprovals(services, id, await readLog(services.log, id)) : []
  const answer = await services.store.retry(id, fence, {
    reason,
    message,
    usage,
    at,
    attempt: attempts.made,
    spared: attempts.spared + (isSpared ? 1 : 0),
    failedStarts,
    paidBy: record && toPayments(record, usage, attempts.made),
    notBefore: parked ? undefined : notBefore,
    parked: parked && { ...parked, notBefore },
    closing,
    ranMs: plan.keepsClock ? ranMs : undefined,
    queueDeadline:
      queueTimeoutSeconds === undefined || parked ? undefined : new Date(at.getTime() + queueTimeoutSeconds * 1_000),
  })
  if (answer.kind === 'retrying') {
    services.logger.info({ executionId: id, attempt: attempts.made, reason, notBefore }, 'another attempt follows')
    await enqueueReady(services, ...(notBefore ? answer.others : [answer.ready]))
    return { kind: 'retrying' }
  }
  if (answer.kind === 'parked') {
    services.logger.info({ executionId: id, attempt: attempts.made, ...parked, notBefore }, 'parked')
    await enqueueReady(services, ...answer.ready)
    return { kind: 'parked' }
  }
  if (answer.kind === 'moved') return { kind: answer.kind }
  if (answer.kind !== 'cancelled') return { kind: 'not_ours' }
  const outcome: Outcome = {
    status: 'cancelled',
    code: 'CANCELLED',
    message: `Cancelled by ${answer.by}${answer.reason === undefined ? '' : `: ${answer.reason}`}.`,
  }
  const concludeAs: ConcludeAs = fence === undefined ? { kind: 'abandoned' } : { kind: 'holder', fence, holdListMs }
  // Of an attempt that has started the log has it as soon as the holder knows.
  const cause: NewEvent | undefined =
    failedStarts === undefined
      ? undefined
      : { type: 'execution.cancel_requested', data: { by: answer.by, reason: answer.reason } }
  const ending = { outcome, usage, attempt: attempts.made, cause }
  const concluded = await concludeExecution(services, id, concludeAs, ending)
  return concluded ? { kind: 'finished', outcome, ...concluded } : { kind: 'not_ours' }
}
