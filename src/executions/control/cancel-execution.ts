import { ExecutorError } from '../../protocol/errors.js'
import { isTerminal, type Execution } from '../../protocol/execution.js'
import { fromStore } from '../../platform/redis.js'
import { cancelQueued } from './cancel-queued.js'
import { cancelTaskList } from './cancel-task-list.js'
import { toExecution, type ExecutionRecord } from '../records/execution-record.js'
import { requireExecution } from '../read/find-execution.js'
import { notifyWorkers } from './notify-workers.js'
import type { DomainServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/** How often a request is tried again when the execution changed its state in between: queued → starting → running. */
const TRIES = 5

/**
 * Ends an execution. A queued one is concluded here; for a running one the request is recorded and its worker told.
 * Idempotent.
 */
export async function cancelExecution(
  services: DomainServices,
  id: string,
  caller: Caller,
  reason?: string,
): Promise<Execution> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const record = await requireExecution(services, id, caller)
    if (isTerminal(record.state)) return toExecution(record)
    const request = { by: caller.name, ...(reason !== undefined && { reason }) }
    if (
      record.kind === 'task_list'
        ? await fromStore(cancelTaskList(services, id, request))
        : await tryCancel(services, record, caller, reason)
    )
      break
  }
  return toExecution(await requireExecution(services, id, caller))
}

async function tryCancel(
  services: DomainServices,
  record: ExecutionRecord,
  caller: Caller,
  reason: string | undefined,
): Promise<boolean> {
  const { store } = services
  const { id } = record
  if (record.state !== 'queued') {
    const answer = await fromStore(store.request(id, { kind: 'cancel' }, caller.name, reason))
    if (answer.kind === 'refused') return false
    await notifyWorkers(services, id)
    return true
  }
  return fromStore(cancelQueued(services, record, { by: caller.name, ...(reason !== undefined && { reason }) }))
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
      detail: 'The execution has not started yet; only a running one can be paused or resumed.',
    })
  }
  await notifyWorkers(services, id)
  return toExecution(await requireExecution(services, id, caller))
}
