import { createSharedStop, joinSignals } from '../platform/abort-signals.js'
import type { Approval } from '../protocol/approvals.js'
import type { Event, EventType } from '../protocol/events.js'
import type { ServiceAccess } from './service-access.js'

const CLOSING: readonly EventType[] = [
  'approval.decided',
  'approval.expired',
  'approval.withdrawn',
  'execution.finished',
]

export interface ApprovalWatch {
  /** Aborts with the given signal, or when the approval is closed: nobody needs to be asked any more. */
  readonly signal: AbortSignal
  isClosed(): boolean
  release(): void
}

const closes = ({ type, data }: Event, id: string): boolean =>
  type === 'execution.finished' || (data as { approvalId?: unknown }).approvalId === id

/** While a person is asked, somebody else may decide elsewhere, or the time may run out. */
export function watchApproval(
  access: ServiceAccess,
  { id, executionId }: Approval,
  signal: AbortSignal,
): ApprovalWatch {
  const closed = createSharedStop()
  const either = joinSignals([signal, closed.signal])
  const leaving = new AbortController()
  const following = joinSignals([either.signal, leaving.signal])
  async function follow(): Promise<void> {
    const service = await access.join(following.signal)
    for await (const event of service.follow(executionId, { types: CLOSING, signal: following.signal }))
      if (closes(event, id)) return closed.abort()
  }
  // Where it cannot be followed, the person is asked all the same, and the decision tells that it came too late.
  follow().catch(() => undefined)
  return {
    signal: either.signal,
    isClosed: () => closed.signal.aborted,
    release() {
      leaving.abort()
      following.release()
      either.release()
    },
  }
}
