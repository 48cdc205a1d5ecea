import type { EventData, NewEvent } from '../../protocol/events.js'
import type { Outcome } from '../../protocol/execution.js'
import { concludeExecution, type ConcludeAs } from '../conclude/conclude-execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { DomainServices } from '../services.js'

type CancelRequest = EventData<'execution.cancel_requested'>

/** Ends an execution that is in nobody's hands; false where somebody was first. */
export async function cancelUnheld(
  services: DomainServices,
  { id, attempt, usage }: ExecutionRecord,
  concludeAs: ConcludeAs,
  { by, reason }: CancelRequest,
): Promise<boolean> {
  const outcome: Outcome = {
    status: 'cancelled',
    code: 'CANCELLED',
    message: attempt === 0 ? 'Cancelled before it started.' : 'Cancelled while it waited for its next attempt.',
  }
  const cause: NewEvent = { type: 'execution.cancel_requested', data: { by, reason } }
  return (await concludeExecution(services, id, concludeAs, { outcome, attempt, usage, cause })) !== undefined
}

/** Ends an execution that nobody has claimed; false where somebody has, meanwhile. */
export async function cancelQueued(
  services: DomainServices,
  record: ExecutionRecord,
  request: CancelRequest,
): Promise<boolean> {
  if (!(await cancelUnheld(services, record, { kind: 'queued' }, request))) return false
  await services.queue.remove({ executionId: record.id, claim: record.claim })
  return true
}
