import { toClosingEvent } from '../records/approval-record.js'
import type { DomainServices } from '../services.js'
import type { ClosingApproval } from '../store/transitions.js'
import type { LogReading } from './log-reading.js'

/**
 * What the log does not tell yet of the approvals of an attempt that is over: those that are pending are withdrawn with
 * it, and a decision that its holder did not live to tell is told.
 */
export async function findUnrecordedApprovals(
  { store }: Pick<DomainServices, 'store'>,
  id: string,
  reading: Pick<LogReading, 'closedApprovals'>,
): Promise<ClosingApproval[]> {
  const approvals = await store.listApprovalsOf(id)
  return approvals
    .filter((approval) => !reading.closedApprovals.has(approval.id))
    .map((approval) => {
      const event = toClosingEvent(approval)
      return event
        ? { event }
        : { id: approval.id, event: { type: 'approval.withdrawn', data: { approvalId: approval.id } } }
    })
}
