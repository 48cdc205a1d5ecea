import type { ExecutionStatus } from '../protocol/execution.js'

/**
 * queued → starting → running → succeeded | failed | cancelled | timed_out
 * running ⇄ paused; paused → a terminal state (succeeded: the result had come before the pause)
 * queued → cancelled | failed (queue timeout)
 * starting → queued (the worker died before the CLI was let go), twice at most
 * running → queued, paused → queued: another attempt follows, announced by execution.retrying
 *
 * A task list has no worker and no `starting`: queued → running with the first start of a task.
 *
 * `starting` is claimed by a worker whose CLI has not been let go; clients see it as `queued`.
 */
export type ExecutionState = ExecutionStatus | 'starting'

const TRANSITIONS: Record<ExecutionState, readonly ExecutionState[]> = {
  queued: ['starting', 'running', 'cancelled', 'failed'],
  starting: ['running', 'queued', 'failed', 'cancelled'],
  running: ['queued', 'paused', 'succeeded', 'failed', 'cancelled', 'timed_out'],
  paused: ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out'],
  succeeded: [],
  failed: [],
  cancelled: [],
  timed_out: [],
}

export const mayFollow = (from: ExecutionState, to: ExecutionState): boolean => TRANSITIONS[from].includes(to)

export const toStatus = (state: ExecutionState): ExecutionStatus => (state === 'starting' ? 'queued' : state)

/** The legal transitions as a Lua table, so that scripts check the same list; from a state that is over there is none. */
export const TRANSITIONS_LUA = `local mayFollow = {${Object.entries(TRANSITIONS)
  .map(([from, targets]) => `${from} = {${targets.map((target) => `${target} = true`).join(', ')}}`)
  .join(', ')}}`
