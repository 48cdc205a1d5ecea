import { realpath } from 'node:fs/promises'
import { listAdmitted } from '../platform/admitted-folders.js'
import type { Config } from '../platform/config.js'
import type { WorktreeRecord } from './worktree-record.js'

/**
 * The folders in which the objects of a worktree's repository may lie, of whoever it is: real paths. What was admitted
 * for one token counts for the worktree that was made for it.
 */
export async function listWorktreeRoots(
  { owner }: Pick<WorktreeRecord, 'owner'>,
  { allowedRoots, dataDir, allowHere }: Pick<Config, 'allowedRoots' | 'dataDir' | 'allowHere'>,
): Promise<string[]> {
  const all = allowHere ? await listAdmitted(dataDir) : []
  const admitted = all.filter(({ token }) => token === owner).map(({ folder }) => folder)
  return Promise.all([...allowedRoots, ...admitted].map((path) => realpath(path).catch(() => path)))
}
