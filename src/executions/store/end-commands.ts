import { serializeWithoutSeq } from '../../events/stored-event.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ParkedState } from '../records/execution-state.js'
import { concludingArguments, toClosingEvents } from './concluding-events.js'
import { decodeConclude, decodeRequeue, decodeRetry } from './decode-replies.js'
import type { StoreContext } from './store-context.js'
import type { ConcludeAnswer, Conclusion, RequeueAnswer, Retry, RetryAnswer, Seal } from './transitions.js'

/** `claim`: it has not gone on since. */
export interface SeenWaiting {
  readonly state?: 'queued' | ParkedState
  readonly claim?: number
}

/** What follows a claim or a wait: the end, or the queue again. */
export interface EndCommands {
  conclude(id: string, fence: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** Only where the lease is over. */
  concludeAbandoned(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** Only where nobody has claimed it, or it is parked, as it was seen. */
  concludeQueued(id: string, conclusion: Conclusion, seal?: Seal, seen?: SeenWaiting): Promise<ConcludeAnswer>
  /** Only where no other task follows, and nobody else holds the list. */
  concludeList(listId: string, fence: string | undefined, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** starting → queued; without a fence only where the lease is over. */
  requeue(id: string, fence: string | undefined, limit: number): Promise<RequeueAnswer>
  /**
   * running → queued, or waiting_* where it is parked: another attempt follows; without a fence only where the lease is
   * over.
   */
  retry(id: string, fence: string | undefined, retry: Retry): Promise<RetryAnswer>
}

/** The event that tells what follows an attempt. */
function toAnnouncement(
  attempt: number,
  { reason, message, notBefore, parked }: Pick<Retry, 'reason' | 'message' | 'notBefore' | 'parked'>,
): NewEvent {
  if (!parked) {
    const data = { reason, nextAttempt: attempt + 1, notBefore: notBefore?.toISOString(), message }
    return { type: 'execution.retrying', data }
  }
  const until = parked.until.toISOString()
  return {
    type: 'execution.parked',
    data: { reason: parked.reason, until, notBefore: parked.notBefore?.toISOString(), message },
  }
}

export function createEndCommands({ run, retentionMs }: StoreContext): EndCommands {
  return {
    async conclude(id, fence, conclusion, seal) {
      const args = concludingArguments({ id, fence }, conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConclude', ...args))
    },
    async concludeAbandoned(id, conclusion, seal) {
      const args = concludingArguments({ id }, conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeAbandoned', ...args))
    },
    async concludeQueued(id, conclusion, seal, { state = 'queued', claim } = {}) {
      const args = concludingArguments({ id, state, claim: claim?.toString() }, conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeQueued', ...args))
    },
    async concludeList(listId, fence = '', conclusion, seal) {
      const args = concludingArguments({ id: listId, fence }, conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeList', ...args))
    },
    async requeue(id, fence, limit) {
      return decodeRequeue(id, await run('ccRequeue', id, fence ?? '', limit))
    },
    async retry(
      id,
      fence,
      { usage, attempt, failedStarts, at, notBefore, queueDeadline, parked, closing = [], ...retry },
    ) {
      const reason = parked?.reason ?? retry.reason
      const cause = failedStarts === undefined ? { retryReason: reason } : { failedStarts: String(failedStarts) }
      return decodeRetry(
        id,
        await run('ccRetry', {
          id,
          fence,
          fields: {
            usage: JSON.stringify(usage),
            earlierUsage: JSON.stringify(usage),
            queuedAt: String(at.getTime()),
            spared: String(retry.spared),
            paidBy: retry.paidBy && JSON.stringify(retry.paidBy),
            ranMs: retry.ranMs?.toFixed(),
            // How the next one begins depends on the last that has started.
            ...cause,
          },
          event: serializeWithoutSeq(toAnnouncement(attempt, { ...retry, notBefore, parked }), at, attempt),
          notBefore: notBefore?.getTime(),
          queueDeadline: queueDeadline?.getTime(),
          closing: toClosingEvents(closing, at, attempt),
          parked: parked && {
            reason: parked.reason,
            until: parked.until.getTime(),
            notBefore: parked.notBefore?.getTime(),
            budgetRevision: parked.budgetRevision?.toString(),
            approval: parked.approvalId,
            attempt,
          },
        }),
      )
    },
  }
}
