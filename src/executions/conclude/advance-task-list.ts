import { addUsage, isTerminal, NO_USAGE, type Outcome } from '../../protocol/execution.js'
import { sha256 } from '../../platform/hash.js'
import { enqueueReady } from './enqueue-ready.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { newTask } from '../submit/new-task.js'
import { hasFollowing, toListOutcome } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'
import { writeEnd } from './write-end.js'

/**
 * What a worker does when a list is over and before its end is written; meanwhile the list is its own, under this
 * fence.
 */
export interface ListClosing {
  readonly leaseMs: number
  readonly run: (list: ExecutionRecord, outcome: Outcome, fence: string) => Promise<void>
}

/**
 * Goes on with a list whose task has ended: tells the list, queues the next task, or writes the end of the list.
 * Called by whoever concluded the task, and by the sweep where that process died in between; any number of calls do it
 * once.
 */
export async function advanceTaskList(services: DomainServices, listId: string, closing?: ListClosing): Promise<void> {
  const { store } = services
  const list = await store.getTaskList(listId)
  if (!list || isTerminal(list.state)) return store.forgetUnsettled(listId)
  const current = list.tasks?.at(-1)
  if (!current || !isTerminal(current.state)) return
  if (list.isOver === true && !closing) return concludeTaskList(services, listId)
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
    event: {
      type: 'task.finished',
      data: { index, executionId: id, status: current.state, ...(code !== undefined && { code }) },
    },
    usage: addUsage(list.usage, task?.usage ?? NO_USAGE),
    ...(closing && { holdMs: closing.leaseMs }),
    ...(hasFollowing(list, index, current.state) && { following: await newTask(services, list, index + 1, now) }),
  })
  if (answer.kind === 'next') await enqueueReady(services, answer.ready)
  if (answer.kind === 'over') await concludeTaskList(services, listId, closing, answer.fence)
}

async function concludeTaskList(
  services: DomainServices,
  listId: string,
  closing?: ListClosing,
  fence?: string,
): Promise<void> {
  const { store } = services
  const list = await store.getTaskList(listId)
  const last = list?.tasks?.at(-1)
  if (!list?.tasks || !last) return
  const task = await store.get(last.id)
  const outcome = toListOutcome(list, task?.outcome)
  if (closing && fence !== undefined) await closing.run(list, outcome, fence)
  const answer = await writeEnd(
    services,
    listId,
    { kind: 'list', ...(fence !== undefined && { fence }) },
    { outcome, usage: list.usage, attempt: 0, tasks: list.tasks },
  )
  if (answer.kind === 'concluded') await enqueueReady(services, ...(answer.ready ?? []))
}
