import { sleep } from '../../platform/abort-signals.js'
import { mayWatch, type Caller } from '../../protocol/caller.js'
import { isExecutionId } from '../../protocol/ids.js'
import type { ExecutionReads } from '../store/execution-store.js'

/** The next step makes it; where its process died in between, the next sweep does. */
const LIMIT_MS = 5_000
const POLL_MS = 50

/**
 * A dropped message names its follow-up in the log of the execution that has ended, and the follow-up is made right
 * after that end: a reader that is so fast waits for it. False: there is no such execution.
 */
export async function awaitOwed(store: ExecutionReads, id: string, caller: Caller): Promise<boolean> {
  if (!isExecutionId(id)) return false
  const owner = await store.findOwed(id)
  const limitMs = owner !== undefined && mayWatch({ id, owner }, caller) ? LIMIT_MS : 0
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    if ((await store.ownerOf(id)) !== undefined) return true
    if (waitedMs >= limitMs) return false
    await sleep(POLL_MS)
  }
}
