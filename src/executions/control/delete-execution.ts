import { ExecutorError } from '../../protocol/errors.js'
import { isExecutionId } from '../../protocol/ids.js'
import { isTerminal } from '../../protocol/execution.js'
import { fromStore } from '../../platform/redis.js'
import { requireExecution } from '../read/find-execution.js'
import type { DomainServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/**
 * Forgets a finished execution: record, events, its Idempotency-Key, the tasks of a list; the workers remove its
 * folders, once nobody goes on with its conversation. @throws ExecutorError NOT_FINISHED
 */
export async function deleteExecution(services: DomainServices, id: string, caller: Caller): Promise<void> {
  const { store } = services
  const record = await requireExecution(services, id, caller)
  const list = record.parentId === undefined ? undefined : await fromStore(store.get(record.parentId))
  if (list && !isTerminal(list.state))
    throw new ExecutorError('NOT_FINISHED', {
      detail: `It is a task of ${list.id}, which has not ended yet and reports all its tasks.`,
    })
  const tasks = record.kind === 'task_list' ? await fromStore(store.getMany(await store.listTaskIds(id))) : []
  const answer = await fromStore(store.delete(id, caller.id))
  if (answer.kind === 'refused') {
    if (answer.state === 'missing') throw new ExecutorError('EXECUTION_NOT_FOUND')
    throw new ExecutorError('NOT_FINISHED', {
      detail: `The execution is ${answer.state}; cancel it first, or wait for its end.`,
    })
  }
  for (const forgotten of [{ id, claim: answer.claim }, ...tasks])
    await forgetTraces(services, forgotten.id, forgotten.claim)
  // The folders that it worked in may have waited for it.
  for (const host of new Set([record.home, record.workspace]))
    if (host !== id && isExecutionId(host)) await tellForgotten(services, host)
}

/** What lies outside the records of an execution that is gone: its jobs, and the folders on the workers' hosts. */
export async function forgetTraces(services: DomainServices, id: string, claims: number): Promise<void> {
  for (let claim = 1; claim <= claims; claim += 1) await services.queue.remove({ executionId: id, claim })
  await tellForgotten(services, id)
}

async function tellForgotten({ control, logger }: DomainServices, executionId: string): Promise<void> {
  await control({ kind: 'deleted', executionId }).catch((err: unknown) =>
    logger.debug({ executionId, err }, 'control message not sent'),
  )
}
