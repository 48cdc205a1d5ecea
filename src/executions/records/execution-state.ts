import type { ExecutionStatus, ParkReason } from '../../protocol/execution.js'

/**
 * queued → starting → running → succeeded | failed | cancelled | timed_out
 * running ⇄ paused; paused → a terminal state (succeeded: the result had come before the pause)
 * queued → cancelled | failed (queue timeout)
 * starting → queued (the worker died before the CLI was let go), twice at most
 * starting → queued (the login could not be renewed), announced by execution.retrying
 * running → queued, paused → queued: another attempt follows, announced by execution.retrying
 * starting, running, paused → waiting_*: parked, announced by execution.parked
 * waiting_* → queued: another attempt follows, announced by execution.unparked
 * waiting_* → cancelled | failed (nobody has decided in time)
 *
 * A task list has no worker and no `starting`: queued → running with the first start of a task.
 *
 * `starting` is claimed by a worker whose CLI has not been let go; clients see it as `queued`.
 */
export type ExecutionState = ExecutionStatus | 'starting'

const PARKED = { waiting_approval: true, waiting_budget: true } as const

/** The legal transitions, for the scripts as well (store/lua); from a state that is over there is none. */
export const TRANSITIONS: Record<ExecutionState, { readonly [Next in ExecutionState]?: true }> = {
  queued: { starting: true, running: true, cancelled: true, failed: true },
  starting: { running: true, queued: true, waiting_budget: true, failed: true, cancelled: true },
  running: { queued: true, paused: true, ...PARKED, succeeded: true, failed: true, cancelled: true, timed_out: true },
  paused: { queued: true, running: true, ...PARKED, succeeded: true, failed: true, cancelled: true, timed_out: true },
  waiting_approval: { queued: true, failed: true, cancelled: true },
  waiting_budget: { queued: true, failed: true, cancelled: true },
  succeeded: {},
  failed: {},
  cancelled: {},
  timed_out: {},
}

export type ParkedState = keyof typeof PARKED

export const isParked = (state: string): state is ParkedState => Object.hasOwn(PARKED, state)

/** What a parked execution waits for. */
export const toParkReason = (state: ParkedState): ParkReason => (state === 'waiting_budget' ? 'budget' : 'approval')

export const toStatus = (state: ExecutionState): ExecutionStatus => (state === 'starting' ? 'queued' : state)
