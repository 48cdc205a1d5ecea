import type { EventData, NewEvent } from '../protocol/events.js'
import type { Outcome } from '../protocol/execution.js'
import { concludeExecution } from './conclude-execution.js'
import type { ExecutionRecord } from './execution-record.js'
import type { DomainServices } from './services.js'

/** Ends an execution that nobody has claimed; false where somebody has, meanwhile. */
export async function cancelQueued(services: DomainServices, { id, claim, attempt, usage }: ExecutionRecord, by: EventData<'execution.cancel_requested'>): Promise<boolean> {
  const outcome: Outcome = { status: 'cancelled', code: 'CANCELLED', message: attempt === 0 ? 'Cancelled before it started.' : 'Cancelled while it waited for its next attempt.' }
  const cause: NewEvent = { type: 'execution.cancel_requested', data: by }
  if (!(await concludeExecution(services, id, { kind: 'queued' }, { outcome, attempt, usage, cause }))) return false
  await services.queue.remove({ executionId: id, claim })
  return true
}
