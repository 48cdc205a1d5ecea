import type { EventData, NewEvent } from '../../protocol/events.js'
import type { Outcome } from '../../protocol/execution.js'
import { concludeExecution, type Concluded, type ConcludeAs } from '../conclude/conclude-execution.js'
import type { Sealed } from '../conclude/seal-execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { isParked, type ExecutionState } from '../records/execution-state.js'
import type { DomainServices } from '../services.js'

type CancelRequest = EventData<'execution.cancel_requested'>

function toMessage(state: ExecutionState, attempt: number): string {
  if (isParked(state)) return `Cancelled while it was parked (${state}).`
  return attempt === 0 ? 'Cancelled before it started.' : 'Cancelled while it waited for its next attempt.'
}

/** Ends an execution that is in nobody's hands; undefined where somebody was first. */
export async function cancelUnheld(
  services: DomainServices,
  { id, state, attempt, usage }: ExecutionRecord,
  concludeAs: ConcludeAs,
  { by, reason }: CancelRequest,
): Promise<Concluded | undefined> {
  const outcome: Outcome = {
    status: 'cancelled',
    code: 'CANCELLED',
    message: toMessage(state, attempt),
  }
  const cause: NewEvent = { type: 'execution.cancel_requested', data: { by, reason } }
  return concludeExecution(services, id, concludeAs, { outcome, attempt, usage, cause })
}

/** The record of an execution whose end was written, without reading it once more. */
const withEnd = (record: ExecutionRecord, { conclusion, seal }: Sealed): ExecutionRecord => ({
  ...record,
  state: conclusion.outcome.status,
  outcome: conclusion.outcome,
  usage: conclusion.usage,
  finishedAt: conclusion.finishedAt.getTime(),
  lastSeq: seal.finishedSeq,
  paidBy: seal.paidBy,
  openApprovals: [],
})

/** Ends an execution that nobody has claimed, or that is parked; undefined where that has changed meanwhile. */
export async function cancelQueued(
  services: DomainServices,
  record: ExecutionRecord,
  request: CancelRequest,
): Promise<ExecutionRecord | undefined> {
  const { id, claim } = record
  const state = isParked(record.state) ? record.state : 'queued'
  const concluded = await cancelUnheld(services, record, { kind: 'queued', state, claim, record }, request)
  if (concluded?.written === undefined) return undefined
  await services.queue.remove({ executionId: id, claim })
  return withEnd(record, concluded.written)
}
