import { addUsage, isTerminal, NO_USAGE } from '../protocol/execution.js'
import { sha256 } from '../verification/canonical-json.js'
import { enqueueWoken } from './enqueue-woken.js'
import { newTask } from './new-task.js'
import { hasFollowing, toListOutcome } from './plan-tasks.js'
import type { DomainServices } from './services.js'
import { writeEnd } from './write-end.js'

/**
 * Goes on with a list whose task has ended: tells the list, queues the next task, or writes the end of the list.
 * Called by whoever concluded the task, and by the sweep where that process died in between; any number of calls do it once.
 */
export async function advanceTaskList(services: DomainServices, listId: string): Promise<void> {
  const { store } = services
  const list = await store.getTaskList(listId)
  if (!list || isTerminal(list.state)) return store.forgetUnsettled(listId)
  const current = list.tasks?.at(-1)
  if (!current || !isTerminal(current.state)) return
  if (list.isOver === true) return concludeTaskList(services, listId)
  const { index, id } = current
  const [[task], receipt] = await Promise.all([store.getMany([id]), store.getReceipt(id)])
  const now = await store.now()
  const { code } = task?.outcome ?? {}
  const answer = await store.advance(listId, {
    index,
    id,
    at: new Date(now),
    status: current.state,
    receiptSha256: receipt === undefined ? undefined : sha256(receipt),
    event: { type: 'task.finished', data: { index, executionId: id, status: current.state, ...(code !== undefined && { code }) } },
    usage: addUsage(list.usage, task?.usage ?? NO_USAGE),
    ...(hasFollowing(list, index, current.state) && { following: await newTask(services, list, index + 1, now) }),
  })
  if (answer.kind === 'next') await enqueueWoken(services, answer.woken)
  if (answer.kind === 'over') await concludeTaskList(services, listId)
}

async function concludeTaskList(services: DomainServices, listId: string): Promise<void> {
  const { store } = services
  const list = await store.getTaskList(listId)
  const last = list?.tasks?.at(-1)
  if (!list?.tasks || !last) return
  const task = await store.get(last.id)
  const answer = await writeEnd(services, listId, { kind: 'list' }, { outcome: toListOutcome(list, task?.outcome), usage: list.usage, attempt: 0, tasks: list.tasks })
  if (answer.kind === 'concluded' && answer.woken) await enqueueWoken(services, answer.woken)
}
