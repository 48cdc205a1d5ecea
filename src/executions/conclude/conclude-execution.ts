import { advanceTaskList, type HeldList } from './advance-task-list.js'
import { enqueueReady } from './enqueue-ready.js'
import { settleOwed, toOrphanOutcome } from './follow-ups.js'
import type { DomainServices } from '../services.js'
import type { Ending } from '../store/transitions.js'
import type { Sealed } from './seal-execution.js'
import { writeEnd, type ConcludeAs } from './write-end.js'

export type { ConcludeAs } from './write-end.js'

/**
 * The end was written, as `written` says. `heldList`: it was the last task of this list, which the holder asked to
 * hold.
 */
export interface Concluded {
  readonly written?: Sealed | undefined
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
  const { parentId, orphanId, hasDropped, written } = answer
  if (orphanId !== undefined || hasDropped)
    await settleFollowing(services, orphanId).catch((err: unknown) => {
      services.logger.warn({ executionId: id, err }, 'follow-ups were not settled; the sweep will do it')
    })
  if (parentId === undefined) return { written }
  const holdMs = concludeAs.kind === 'holder' ? concludeAs.holdListMs : undefined
  try {
    return { written, heldList: await advanceTaskList(services, parentId, holdMs) }
  } catch (err) {
    const message = 'a task has ended but its list was not advanced; the sweep will do it'
    services.logger.warn({ executionId: parentId, err }, message)
    return { written }
  }
}

const OWED_BATCH = 100

async function settleFollowing(services: DomainServices, orphanId: string | undefined): Promise<void> {
  if (orphanId !== undefined) await concludeOrphan(services, orphanId)
  // Behind those that wait, and not behind one that is to be cancelled.
  for (const owed of await services.store.listOwed(OWED_BATCH)) await settleOwed(services, owed)
}

/** Ends a follow-up whose turn never comes. */
export async function concludeOrphan(services: DomainServices, id: string): Promise<void> {
  const record = await services.store.get(id)
  if (record?.follows === undefined) return
  const outcome = toOrphanOutcome(record.follows, await services.store.get(record.follows))
  await concludeExecution(services, id, { kind: 'queued' }, { outcome, attempt: 0 })
}
