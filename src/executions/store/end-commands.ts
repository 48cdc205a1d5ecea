import { serializeWithoutSeq } from '../../events/stored-event.js'
import { concludingArguments, toClosingEvents } from './concluding-events.js'
import { decodeConclude, decodeRequeue, decodeRetry } from './decode-replies.js'
import type { StoreContext } from './store-context.js'
import type { ConcludeAnswer, Conclusion, RequeueAnswer, Retry, RetryAnswer, Seal } from './transitions.js'

/** What follows a claim or a wait: the end, or the queue again. */
export interface EndCommands {
  conclude(id: string, fence: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** Only where the lease is over. */
  concludeAbandoned(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** Only where nobody has claimed it. */
  concludeQueued(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** Only where no other task follows, and nobody else holds the list. */
  concludeList(listId: string, fence: string | undefined, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer>
  /** starting → queued; without a fence only where the lease is over. */
  requeue(id: string, fence: string | undefined, limit: number): Promise<RequeueAnswer>
  /** running → queued: another attempt follows; without a fence only where the lease is over. */
  retry(id: string, fence: string | undefined, retry: Retry): Promise<RetryAnswer>
}

export function createEndCommands({ run, retentionMs }: StoreContext): EndCommands {
  return {
    async conclude(id, fence, conclusion, seal) {
      const end = concludingArguments(conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConclude', { id, fence, ...end }))
    },
    async concludeAbandoned(id, conclusion, seal) {
      const end = concludingArguments(conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeAbandoned', { id, ...end }))
    },
    async concludeQueued(id, conclusion, seal) {
      const end = concludingArguments(conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeQueued', { id, ...end }))
    },
    async concludeList(listId, fence = '', conclusion, seal) {
      const end = concludingArguments(conclusion, seal, retentionMs)
      return decodeConclude(await run('ccConcludeList', { id: listId, fence, ...end }))
    },
    async requeue(id, fence, limit) {
      return decodeRequeue(id, await run('ccRequeue', id, fence ?? '', limit))
    },
    async retry(
      id,
      fence,
      { reason, message, usage, attempt, failedStarts, at, notBefore, queueDeadline, closing = [], ...counts },
    ) {
      const cause = failedStarts === undefined ? { retryReason: reason } : { failedStarts: String(failedStarts) }
      const data = { reason, nextAttempt: attempt + 1, notBefore: notBefore?.toISOString(), message }
      return decodeRetry(
        id,
        await run('ccRetry', {
          id,
          fence,
          fields: {
            usage: JSON.stringify(usage),
            earlierUsage: JSON.stringify(usage),
            spared: String(counts.spared),
            paidBy: counts.paidBy && JSON.stringify(counts.paidBy),
            // How the next one begins depends on the last that has started.
            ...cause,
          },
          event: serializeWithoutSeq({ type: 'execution.retrying', data }, at, attempt),
          notBefore: notBefore?.getTime(),
          queueDeadline: queueDeadline?.getTime(),
          closing: toClosingEvents(closing, at, attempt),
        }),
      )
    },
  }
}
