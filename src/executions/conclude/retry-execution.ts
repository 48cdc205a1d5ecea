import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { ListClosing } from './advance-task-list.js'
import { concludeExecution } from './conclude-execution.js'
import { enqueueReady } from './enqueue-ready.js'
import type { Attempts, RetryPlan } from './plan-retry.js'
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
  /** Of the holder: what follows if a cancel made it the last task of a list. */
  readonly closing?: ListClosing | undefined
}

export type RetryReport =
  | { readonly kind: 'retrying' }
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  | { readonly kind: 'not_ours' }

/**
 * Sends an execution back to the queue for its next attempt, which the log is told of in the same step. A cancel that
 * was
 * requested meanwhile ends it instead. Its workspace stays its own: nobody else works in what it left half done.
 */
export async function retryExecution(
  services: DomainServices,
  id: string,
  { fence, plan, attempts, failedStarts, usage, queueTimeoutSeconds, closing }: RetryOptions,
): Promise<RetryReport> {
  const at = new Date(await services.store.now())
  const { reason, message, notBefore, isSpared } = plan
  const answer = await services.store.retry(id, fence, {
    reason,
    message,
    usage,
    at,
    attempt: attempts.made,
    spared: attempts.spared + (isSpared ? 1 : 0),
    ...(failedStarts !== undefined && { failedStarts }),
    ...(notBefore && { notBefore }),
    ...(queueTimeoutSeconds !== undefined && { queueDeadline: new Date(at.getTime() + queueTimeoutSeconds * 1_000) }),
  })
  if (answer.kind === 'retrying') {
    services.logger.info({ executionId: id, attempt: attempts.made, reason, notBefore }, 'another attempt follows')
    if (!notBefore) await enqueueReady(services, answer.ready)
    return { kind: 'retrying' }
  }
  if (answer.kind !== 'cancelled') return { kind: 'not_ours' }
  const outcome: Outcome = {
    status: 'cancelled',
    code: 'CANCELLED',
    message: `Cancelled by ${answer.by}${answer.reason === undefined ? '' : `: ${answer.reason}`}.`,
  }
  const concludeAs = fence === undefined ? ({ kind: 'abandoned' } as const) : ({ kind: 'holder', fence } as const)
  const { by, reason: why } = answer
  // Of an attempt that has started the log has it as soon as the holder knows.
  const cause: NewEvent | undefined =
    failedStarts === undefined
      ? undefined
      : { type: 'execution.cancel_requested', data: { by, ...(why !== undefined && { reason: why }) } }
  const ending = { outcome, usage, attempt: attempts.made, ...(cause && { cause }) }
  return (await concludeExecution(services, id, concludeAs, ending, closing))
    ? { kind: 'finished', outcome }
    : { kind: 'not_ours' }
}
