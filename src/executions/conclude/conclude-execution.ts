import { advanceTaskList, type HeldList } from './advance-task-list.js'
import { enqueueReady } from './enqueue-ready.js'
import type { DomainServices } from '../services.js'
import type { Ending } from '../store/transitions.js'
import { writeEnd, type ConcludeAs } from './write-end.js'

export type { ConcludeAs } from './write-end.js'

/** The end was written. `heldList`: it was the last task of this list, which the holder asked to hold. */
export interface Concluded {
  readonly heldList?: HeldList
}

/**
 * Writes the end of an execution and starts what waited for it: the next execution in its workspace, and the list of a
 * task. undefined where it had ended before: a second conclusion is a no-op.
 */
export async function concludeExecution(
  services: DomainServices,
  id: string,
  concludeAs: ConcludeAs,
  ending: Ending,
): Promise<Concluded | undefined> {
  const answer = await writeEnd(services, id, concludeAs, ending)
  if (answer.kind !== 'concluded') return undefined
  await enqueueReady(services, ...answer.ready)
  const { parentId } = answer
  if (parentId === undefined) return {}
  const holdMs = concludeAs.kind === 'holder' ? concludeAs.holdListMs : undefined
  try {
    return { heldList: await advanceTaskList(services, parentId, holdMs) }
  } catch (err) {
    const message = 'a task has ended but its list was not advanced; the sweep will do it'
    services.logger.warn({ executionId: parentId, err }, message)
    return {}
  }
}
