import { isTerminal } from '../../protocol/execution.js'
import { advanceTaskList } from '../conclude/advance-task-list.js'
import { cancelQueued } from './cancel-queued.js'
import { isParked } from '../records/execution-state.js'
import { notifyWorkers } from './notify-workers.js'
import type { DomainServices } from '../services.js'

/**
 * Ends a list: from the stored request on no further task is queued, the one that runs is cancelled by its worker, one
 * that
 * waits is concluded here. False where the task's state changed meanwhile: then once more. Safe to repeat.
 */
export async function cancelTaskList(
  services: DomainServices,
  listId: string,
  request: { by: string; reason?: string },
): Promise<boolean> {
  const { store } = services
  const answer = await store.requestListCancel(listId, request.by, request.reason)
  if (answer.kind === 'refused') return true
  const { task } = answer
  // Whoever concluded its task goes on with the list; if that one died, the sweep.
  if (task && isTerminal(task.state)) return true
  if (!task) {
    await notifyWorkers(services, listId)
    await advanceTaskList(services, listId)
    return true
  }
  if (task.state !== 'queued' && !isParked(task.state)) {
    await notifyWorkers(services, task.id)
    return true
  }
  const record = await store.get(task.id)
  return record !== undefined && (await cancelQueued(services, record, request)) !== undefined
}

/**
 * A list of which a task has ended, or a cancel is requested, and nobody went on with it: the process that should have
 * died.
 */
export async function settleTaskList(services: DomainServices, listId: string): Promise<void> {
  const list = await services.store.getTaskList(listId)
  const request = list?.cancelled
  const isUnderWay = list?.tasks?.some(({ state }) => !isTerminal(state)) ?? false
  if (request && isUnderWay) await cancelTaskList(services, listId, request)
  else await advanceTaskList(services, listId)
}
