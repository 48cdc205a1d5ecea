import { ExecutorError } from '../../protocol/errors.js'
import { isTerminal, type Execution } from '../../protocol/execution.js'
import { fromStore } from '../../platform/redis.js'
import { cancelQueued } from './cancel-queued.js'
import { cancelTaskList } from './cancel-task-list.js'
import { isParked } from '../records/execution-state.js'
import { toExecution, type ExecutionRecord } from '../records/execution-record.js'
import { requireExecution } from '../read/find-execution.js'
import { notifyWorkers } from './notify-workers.js'
import type { DomainServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/** How often a request is tried again when the execution changed its state in between: queued → starting → running. */
const TRIES = 5

export interface CancelAnswer {
  readonly execution: Execution
  /** It had ended before, and nothing was changed. */
  readonly hadEnded: boolean
}

/**
 * Ends an execution. A queued one is concluded here; for a running one the request is recorded and its worker notified.
 * Idempotent.
 */
export async function cancelExecution(
  services: DomainServices,
  id: string,
  caller: Caller,
  reason?: string,
): Promise<CancelAnswer> {
  const request = { by: caller.name, reason }
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const record = await requireExecution(services, id, caller)
    if (isTerminal(record.state)) return { execution: toExecution(record), hadEnded: true }
    // What runs is changed by its worker alone: it is as it was read.
    if (record.kind !== 'task_list' && record.state !== 'queued' && !isParked(record.state)) {
      if (await requestCancel(services, record, request)) return { execution: toExecution(record), hadEnded: false }
      continue
    }
    if (record.kind === 'task_list') {
      const cancelled = await fromStore(cancelTaskList(services, record, request))
      if (cancelled === 'missed') continue
      if (cancelled === 'unread') break
      return { execution: toExecution(cancelled), hadEnded: false }
    }
    const cancelled = await fromStore(cancelQueued(services, record, request))
    if (cancelled) return { execution: toExecution(cancelled), hadEnded: false }
  }
  // What a list has come to with its tasks is known by reading it.
  return { execution: toExecution(await requireExecution(services, id, caller)), hadEnded: false }
}

/** False where its state has changed since it was read. */
async function requestCancel(
  services: DomainServices,
  { id, state: known }: ExecutionRecord,
  { by, reason }: { by: string; reason?: string },
): Promise<boolean> {
  const { kind, state } = await fromStore(services.store.request(id, { kind: 'cancel' }, by, reason))
  if (kind === 'refused') return false
  await notifyWorkers(services, id)
  return state === known
}

/** Pauses or resumes a running execution. Idempotent. @throws ExecutorError ALREADY_FINISHED, NOT_RUNNING */
export async function pauseExecution(
  services: DomainServices,
  id: string,
  caller: Caller,
  wanted: boolean,
  reason?: string,
): Promise<Execution> {
  const record = await requireExecution(services, id, caller)
  if (record.kind === 'task_list' && !isTerminal(record.state)) {
    const task = record.tasks?.findLast(({ state }) => !isTerminal(state))
    throw new ExecutorError('NOT_RUNNING', {
      detail:
        'A task list has no process to pause or resume; ' +
        `${task ? `pause or resume the running task instead, ${task.id}` : 'its next task is about to be queued'}.`,
    })
  }
  const answer = await fromStore(services.store.request(id, { kind: 'pause', wanted }, caller.name, reason))
  if (answer.kind === 'refused') {
    if (isTerminal(answer.state))
      throw new ExecutorError('ALREADY_FINISHED', { detail: `The execution has already finished: ${answer.state}.` })
    throw new ExecutorError('NOT_RUNNING', {
      detail: isParked(record.state)
        ? `The execution is parked (${record.state}): it waits for a decision and has no process to pause or resume. ` +
          'It does not continue before that; a cancel ends it.'
        : 'The execution has not started yet; only a running one can be paused or resumed.',
    })
  }
  await notifyWorkers(services, id)
  return toExecution(answer.state === record.state ? record : await requireExecution(services, id, caller))
}
