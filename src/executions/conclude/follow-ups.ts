import { isTerminal, type Outcome } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { OwedFollowUp } from '../store/queue-reads.js'
import type { DomainServices } from '../services.js'
import { enqueueReady } from './enqueue-ready.js'

/** A day's budget that is used up is asked again so often. */
const AGAIN_MS = 60_000

/** How a follow-up ends whose turn never comes. `before`: the execution that it follows, where that is still known. */
export function toOrphanOutcome(follows: string, before: ExecutionRecord | undefined): Outcome {
  if (before?.state === 'cancelled')
    return {
      status: 'cancelled',
      code: 'CANCELLED',
      message: `The execution that it follows, ${follows}, was cancelled.`,
    }
  return {
    status: 'failed',
    code: 'SESSION_NOT_FOUND',
    message: `The execution that it follows, ${follows}, ended before it was started, so there is no session to continue.`,
  }
}

/**
 * Makes the follow-up of a dropped message from the record that was prepared when it was accepted. It counts towards no
 * limit of the queue: it was accepted with the message. Messages are dropped just before the end: until that is
 * written nothing is made, since behind a cancelled one it would wait with those that are cancelled with it.
 */
export async function settleOwed(services: DomainServices, owed: OwedFollowUp): Promise<void> {
  const { store, logger } = services
  const record = await store.readOwed(owed)
  if (!record) return store.settleOwed(owed)
  const before = await store.get(owed.executionId)
  if (before && !isTerminal(before.state)) return
  const answer = await store.create(record, Number.MAX_SAFE_INTEGER)
  if (answer.kind === 'over') return store.settleOwed(owed, (await store.now()) + AGAIN_MS)
  if (answer.kind === 'created')
    await enqueueReady(services, { executionId: record.id, claim: 1, priority: record.priority })
  else if (answer.kind !== 'waiting')
    logger.warn({ executionId: owed.executionId, followUpId: record.id, why: answer.kind }, 'no follow-up was made')
  await store.settleOwed(owed)
}
