import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfined, removeConfined } from '../platform/confined-folder.js'
import { openFolder, type OpenFolder } from '../platform/open-folder.js'
import { removeTree } from '../platform/remove-tree.js'
import { forgetWorktree, type WorktreeRecord } from './worktree-record.js'

const FILE_BYTES = 8 * 1024

/** The repository as it was opened; undefined where it is gone, or something else is in its place. */
async function openCommon({ common }: WorktreeRecord): Promise<OpenFolder | undefined> {
  const folder = await openFolder(common).catch(() => undefined)
  if (folder === undefined || folder.path === common) return folder
  await folder.close()
  return undefined
}

async function read(common: string, name: string): Promise<string | undefined> {
  const bytes = await readConfined(common, name, FILE_BYTES)
  return Buffer.isBuffer(bytes) ? bytes.toString().trim() : undefined
}

/** The repository's own note of it, as `git worktree remove` takes it away: only where it is of this very worktree. */
export async function removeAdministration(record: WorktreeRecord): Promise<void> {
  const common = await openCommon(record)
  if (!common) return
  try {
    const { address } = common
    const folder = `worktrees/${record.id}`
    if ((await read(address, `${folder}/gitdir`)) !== `${record.workspace}/.git`) return
    await removeTree(join(address, folder))
    await rmdir(join(address, 'worktrees')).catch(() => undefined)
  } finally {
    await common.close()
  }
}

/** The branch that was made for it, where nothing was committed to it; of another state it is somebody's work. */
async function removeUnusedBranch(record: WorktreeRecord): Promise<void> {
  const common = await openCommon(record)
  if (!common) return
  try {
    const { address } = common
    const ref = `refs/heads/${record.branch}`
    if ((await read(address, ref)) !== record.base) return
    await removeConfined(address, ref)
    await removeConfined(address, `logs/${ref}`).catch(() => undefined)
    // As git does: folders that are empty now could not become branches.
    for (const top of ['refs/heads', 'logs/refs/heads']) {
      const parts = record.branch.split('/').slice(0, -1)
      for (; parts.length > 0; parts.pop()) {
        const isGone = await rmdir(join(address, top, ...parts)).then(
          () => true,
          () => false,
        )
        if (!isGone) break
      }
    }
  } finally {
    await common.close()
  }
}

/**
 * Takes it away, whatever lies in it; what was committed to a branch stays in the repository.
 * @param options.keepsFolder somebody has opened it, and will fill it anew
 */
export async function removeWorktree(
  record: WorktreeRecord,
  place: { readonly dataDir: string },
  { keepsFolder = false }: { readonly keepsFolder?: boolean } = {},
): Promise<void> {
  await removeAdministration(record)
  await removeUnusedBranch(record)
  if (!keepsFolder) await removeTree(record.workspace)
  // Last: by it whoever was interrupted finds the rest.
  await forgetWorktree(record.id, place)
}
