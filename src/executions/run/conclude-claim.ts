import type { Outcome } from '../../protocol/execution.js'
import { concludeExecution } from '../conclude/conclude-execution.js'
import { retryExecution, type RetryOptions, type RetryReport } from '../conclude/retry-execution.js'
import type { Ending } from '../store/transitions.js'
import type { HeldClaim } from './held-claim.js'
import type { RunReport } from './run-report.js'

/** Writes the end of an execution as the holder of its claim. */
export async function concludeClaim(claim: HeldClaim, ending: Ending, mask = claim.services.mask): Promise<RunReport> {
  const { services, executionId, fence, hooks } = claim
  const { outcome } = ending
  const concluded = await claim.persist(() =>
    concludeExecution(
      services,
      executionId,
      { kind: 'holder', fence, holdListMs: hooks.holdListMs, written: claim.written },
      { ...ending, outcome: mask.value(outcome) },
    ),
  )
  if (!concluded) return { kind: 'passed_over', why: 'another process concluded it' }
  await hooks.afterList(concluded.heldList)
  return { kind: 'finished', outcome }
}

/** The CLI was never let go: the attempts before this one are all that there is. */
export const concludeUnstarted = (claim: HeldClaim, outcome: Outcome): Promise<RunReport> =>
  concludeClaim(claim, { outcome, usage: claim.earlierUsage, attempt: claim.attempt - 1 })

/** The cancel came between dequeue and spawn. */
export async function concludeCancelled(claim: HeldClaim): Promise<RunReport> {
  const { services, executionId, fence, hooks } = claim
  const requests = await services.store.renew(executionId, fence, services.config.lockSeconds * 1_000)
  await hooks.noteBeforeStart({
    type: 'execution.cancel_requested',
    data: requests?.cancel ?? { by: 'unknown' },
  })
  return concludeUnstarted(claim, {
    status: 'cancelled',
    code: 'CANCELLED',
    message: 'Cancelled before it started.',
  })
}

/** Sends it back to the queue for another attempt, or parks it; a cancel that came meanwhile ends it instead. */
export async function retryClaim(
  claim: HeldClaim,
  options: Omit<RetryOptions, 'holdListMs' | 'fence'>,
  why: string,
): Promise<RunReport | { readonly kind: 'moved' }> {
  const { services, executionId, fence, hooks } = claim
  const retry = { ...options, fence, holdListMs: hooks.holdListMs }
  const answer = await claim.persist<RetryReport>(() => retryExecution(services, executionId, retry))
  if (answer.kind === 'finished') {
    await hooks.afterList(answer.heldList)
    return { kind: 'finished', outcome: answer.outcome }
  }
  if (answer.kind === 'moved') return answer
  return { kind: 'passed_over', why: answer.kind === 'not_ours' ? 'another process took it over' : why }
}
