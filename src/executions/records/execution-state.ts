import type { ExecutionStatus } from '../../protocol/execution.js'

/**
 * queued → starting → running → succeeded | failed | cancelled | timed_out
 * running ⇄ paused; paused → a terminal state (succeeded: the result had come before the pause)
 * queued → cancelled | failed (queue timeout)
 * starting → queued (the worker died before the CLI was let go), twice at most
 * starting → queued (the login could not be renewed), announced by execution.retrying
 * running → queued, paused → queued: another attempt follows, announced by execution.retrying
 *
 * A task list has no worker and no `starting`: queued → running with the first start of a task.
 *
 * `starting` is claimed by a worker whose CLI has not been let go; clients see it as `queued`.
 */
export type ExecutionState = ExecutionStatus | 'starting'

/** The legal transitions, for the scripts as well (store/lua); from a state that is over there is none. */
export const TRANSITIONS: Record<ExecutionState, { readonly [Next in ExecutionState]?: true }> = {
  queued: { starting: true, running: true, cancelled: true, failed: true },
  starting: { running: true, queued: true, failed: true, cancelled: true },
  running: { queued: true, paused: true, succeeded: true, failed: true, cancelled: true, timed_out: true },
  paused: { queued: true, running: true, succeeded: true, failed: true, cancelled: true, timed_out: true },
  succeeded: {},
  failed: {},
  cancelled: {},
  timed_out: {},
}

export const toStatus = (state: ExecutionState): ExecutionStatus => (state === 'starting' ? 'queued' : state)
