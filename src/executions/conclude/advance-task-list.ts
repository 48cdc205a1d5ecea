import { addUsage, isTerminal, NO_USAGE, type Outcome } from '../../protocol/execution.js'
import { sha256 } from '../../platform/hash.js'
import { enqueueReady } from './enqueue-ready.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { newTask } from '../submit/new-task.js'
import { hasFollowing, toListOutcome } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'
import { writeEnd } from './write-end.js'

/** A list without a further task: only its end is to be written. */
interface OverList {
  readonly list: ExecutionRecord
  readonly outcome: Outcome
  /** Of the worker that holds it until then; undefined where nobody does. */
  readonly fence?: string
}

/** A list that is over and that the caller holds: whatever it does first, it must then call `concludeTaskList`. */
export interface HeldList extends OverList {
  readonly fence: string
}

/**
 * Continues a list whose task has ended: records that in the list, queues the next task, or writes the end of the list.
 * Called by the process that concluded the task, and by the sweep if that process died in between; any number of calls
 * do it once. With `holdMs` a list that is over is not ended but held under a lease of that length, and returned.
 */
export async function advanceTaskList(
  services: DomainServices,
  listId: string,
  holdMs?: number,
): Promise<HeldList | undefined> {
  const { store } = services
  const list = await store.getTaskList(listId)
  if (!list || isTerminal(list.state)) {
    await store.forgetUnsettled(listId)
    return undefined
  }
  const current = list.tasks?.at(-1)
  if (!current || !isTerminal(current.state)) return undefined
  if (list.isOver === true && holdMs === undefined) return endList(services, listId)
  const { index, id } = current
  const [[task], receipt] = await Promise.all([store.getMany([id]), store.getReceipt(id)])
  const now = await store.now()
  const answer = await store.advance(listId, {
    index,
    id,
    at: new Date(now),
    status: current.state,
    receiptSha256: receipt === undefined ? undefined : sha256(receipt),
    event: {
      type: 'task.finished',
      data: { index, executionId: id, status: current.state, code: task?.outcome?.code },
    },
    usage: addUsage(list.usage, task?.usage ?? NO_USAGE),
    holdMs,
    following: hasFollowing(list, index, current.state) ? await newTask(services, list, index + 1, now) : undefined,
  })
  if (answer.kind === 'next') await enqueueReady(services, answer.ready)
  return answer.kind === 'over' ? endList(services, listId, answer.fence) : undefined
}

/** Writes the end of a list that nobody holds; one that the caller holds is returned to it. */
async function endList(services: DomainServices, listId: string, fence?: string): Promise<HeldList | undefined> {
  const { store } = services
  const list = await store.getTaskList(listId)
  const last = list?.tasks?.at(-1)
  if (!list || !last) return undefined
  const outcome = toListOutcome(list, (await store.get(last.id))?.outcome)
  if (fence !== undefined) return { list, outcome, fence }
  await concludeTaskList(services, { list, outcome })
  return undefined
}

/** Writes the end of a list that is over. */
export async function concludeTaskList(services: DomainServices, { list, outcome, fence }: OverList): Promise<void> {
  const { id, usage, tasks } = list
  const answer = await writeEnd(services, id, { kind: 'list', fence }, { outcome, usage, attempt: 0, tasks })
  if (answer.kind === 'concluded') await enqueueReady(services, ...answer.ready)
}
