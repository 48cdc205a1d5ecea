import { advanceTaskList, type ListClosing } from './advance-task-list.js'
import { enqueueWoken } from './enqueue-woken.js'
import type { DomainServices } from '../services.js'
import type { Ending } from '../store/store-answers.js'
import { writeEnd, type Standing } from './write-end.js'

export type { Standing } from './write-end.js'

/**
 * Writes the end of an execution and sets going what waited for it: whoever gets its workspace, and the list of a task.
 * A second conclusion is a no-op and answers false. `closing`: what is to be done first, if it was the last task of a
 * list.
 */
export async function concludeExecution(
  services: DomainServices,
  id: string,
  standing: Standing,
  ending: Ending,
  closing?: ListClosing,
): Promise<boolean> {
  const answer = await writeEnd(services, id, standing, ending)
  if (answer.kind !== 'concluded') return false
  await enqueueWoken(services, ...(answer.woken ?? []))
  if (answer.parentId !== undefined) {
    const { parentId } = answer
    await advanceTaskList(services, parentId, closing).catch((error: unknown) => {
      services.logger.warn(
        { executionId: parentId, error: String(error) },
        'a task has ended and its list does not go on; the sweep will do it',
      )
    })
  }
  return true
}
