import type { EventData, NewEvent } from '../../protocol/events.js'
import type { Outcome } from '../../protocol/execution.js'
import { concludeExecution, type ConcludeAs } from '../conclude/conclude-execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked, type ExecutionState } from '../records/execution-state.js'
import type { DomainServices } from '../services.js'

type CancelRequest = EventData<'execution.cancel_requested'>

function toMessage(state: ExecutionState, attempt: number): string {
  if (isParked(state)) return `Cancelled while it was parked (${state}).`
  return attempt === 0 ? 'Cancelled before it started.' : 'Cancelled while it waited for its next attempt.'
}

/** Ends an execution that is in nobody's hands; false where somebody was first. */
export async function cancelUnheld(
  services: DomainServices,
  { id, state, attempt, usage }: ExecutionRecord,
  concludeAs: ConcludeAs,
  { by, reason }: CancelRequest,
): Promise<boolean> {
  const outcome: Outcome = {
    status: 'cancelled',
    code: 'CANCELLED',
    message: toMessage(state, attempt),
  }
  const cause: NewEvent = { type: 'execution.cancel_requested', data: { by, reason } }
  return (await concludeExecution(services, id, concludeAs, { outcome, attempt, usage, cause })) !== undefined
}

/** Ends an execution that nobody has claimed, or that is parked; false where that has changed meanwhile. */
export async function cancelQueued(
  services: DomainServices,
  record: ExecutionRecord,
  request: CancelRequest,
): Promise<boolean> {
  const state = isParked(record.state) ? record.state : 'queued'
  if (!(await cancelUnheld(services, record, { kind: 'queued', state }, request))) return false
  await services.queue.remove({ executionId: record.id, claim: record.claim })
  return true
}
