import { advanceTaskList, type ListClosing } from './advance-task-list.js'
import { enqueueReady } from './enqueue-ready.js'
import type { DomainServices } from '../services.js'
import type { Ending } from '../store/transitions.js'
import { writeEnd, type ConcludeAs } from './write-end.js'

export type { ConcludeAs } from './write-end.js'

/**
 * Writes the end of an execution and sets going what waited for it: whoever gets its workspace, and the list of a task.
 * A second conclusion is a no-op and answers false. `closing`: what is to be done first, if it was the last task of a
 * list.
 */
export async function concludeExecution(
  services: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  ending: Ending,
  closing?: ListClosing,
): Promise<boolean> {
  const answer = await writeEnd(services, id, concludeAs, ending)
  if (answer.kind !== 'concluded') return false
  await enqueueReady(services, ...answer.ready)
  if (answer.parentId !== undefined) {
    const { parentId } = answer
    await advanceTaskList(services, parentId, closing).catch((error: unknown) => {
      services.logger.warn(
        { executionId: parentId, error: String(error) },
        'a task has ended but its list was not advanced; the sweep will do it',
      )
    })
  }
  return true
}
