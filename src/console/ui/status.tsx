import type { Execution } from 'cc-executor/client'

type Status = Execution['status']

export const STATUS_NAMES: Readonly<Record<Status, string>> = {
  queued: 'Queued',
  running: 'Running',
  paused: 'Paused',
  waiting_approval: 'Waiting for you',
  waiting_budget: 'Waiting for budget',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  timed_out: 'Timed out',
}
export const STATUSES = Object.keys(STATUS_NAMES) as Status[]
const ENDED: readonly string[] = ['succeeded', 'failed', 'cancelled', 'timed_out'] satisfies Status[]

export const hasEnded = (status: string): boolean => ENDED.includes(status)

export const Badge = ({ status }: { readonly status: Status }) => (
  <span className={`badge status-${status}`}>
    <span className="dot" aria-hidden="true" />
    {STATUS_NAMES[status]}
  </span>
)

/** A run that waits for a decision says so, also while a worker is held for it. */
export const StatusOf = ({ execution: { status, pendingApprovals } }: { readonly execution: Execution }) => (
  <Badge status={(pendingApprovals ?? 0) > 0 && !hasEnded(status) ? 'waiting_approval' : status} />
)
