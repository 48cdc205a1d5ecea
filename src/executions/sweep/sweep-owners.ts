import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DomainServices } from '../services.js'

/** Longer than anything waits in the queue for a folder that is not made yet. */
const UNUSED_MS = 7 * 24 * 60 * 60 * 1_000
/** Workers may have workspaces of their own each: one that has the folder has long said so by then. */
const GRACE_MS = 24 * 60 * 60 * 1_000
const BATCH = 100

const isGone = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    // Safe: node:fs rejects with errno exceptions.
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  )

/**
 * A named workspace is its owner's for as long as its folder is there; afterwards until nobody has named it for the
 * retention, a week at least, and a day in which no worker has found the folder: what Redis remembers of owners is
 * bounded by the folders that there are.
 */
export async function sweepOwners(
  { store, config }: Pick<DomainServices, 'store' | 'config'>,
  { unusedMs = Math.max(config.retentionSeconds * 1_000, UNUSED_MS), graceMs = GRACE_MS } = {},
): Promise<void> {
  const { workspaceRoot } = config
  const now = await store.now()
  const before = now - unusedMs
  const unused = await store.listUnusedWorkspaces(before, BATCH)
  // Where nothing is there at all, a volume is missing rather than everybody's folder.
  if (unused.length === 0 || (await readdir(workspaceRoot).catch((): string[] => [])).length === 0) return
  for (const workspace of unused)
    if (await isGone(join(workspaceRoot, workspace))) await store.disown(workspace, before - graceMs)
    else await store.keepOwner(workspace, now)
}
