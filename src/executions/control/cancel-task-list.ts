import { isTerminal } from '../../protocol/execution.js'
import { advanceTaskList } from '../conclude/advance-task-list.js'
import { cancelQueued } from './cancel-queued.js'
import { isParked } from '../records/execution-state.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { notifyWorkers } from './notify-workers.js'
import type { DomainServices } from '../services.js'

/** The list as it is now; `unread`: it has to be read to know that; `missed`: its task's state changed meanwhile. */
export type CancelledList = ExecutionRecord | 'unread' | 'missed'

/**
 * Ends a list: from the stored request on no further task is queued, the one that runs is cancelled by its worker, one
 * that waits is concluded here. Once more where that was missed. Safe to repeat.
 */
export async function cancelTaskList(
  services: DomainServices,
  list: ExecutionRecord,
  request: { by: string; reason?: string },
): Promise<CancelledList> {
  const { store } = services
  const answer = await store.requestListCancel(list.id, request.by, request.reason)
  if (answer.kind === 'refused') return 'unread'
  const { task, lastSeq } = answer
  // Whoever concluded its task goes on with the list; if that one died, the sweep.
  if (task && isTerminal(task.state)) return 'unread'
  if (!task) {
    await notifyWorkers(services, list.id)
    await advanceTaskList(services, list.id)
    return 'unread'
  }
  if (task.state !== 'queued' && !isParked(task.state)) {
    await notifyWorkers(services, task.id)
    // What else is told of a list changes with the state of its task.
    const known = list.tasks?.at(-1)
    return known?.id === task.id && known.state === task.state ? { ...list, lastSeq } : 'unread'
  }
  const record = await store.get(task.id)
  const cancelled = record && (await cancelQueued(services, record, request))
  // With its task ends the list, whose usage, outcome and receipt are made by reading it.
  return cancelled ? 'unread' : 'missed'
}

/**
 * A list of which a task has ended, or a cancel is requested, and nobody went on with it: the process that should have
 * died.
 */
export async function settleTaskList(services: DomainServices, listId: string): Promise<void> {
  const list = await services.store.getTaskList(listId)
  const request = list?.cancelled
  const isUnderWay = list?.tasks?.some(({ state }) => !isTerminal(state)) ?? false
  if (list && request && isUnderWay) await cancelTaskList(services, list, request)
  else await advanceTaskList(services, listId)
}
