import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { makeFolder } from '../platform/make-folder.js'
import { removeTree } from '../platform/remove-tree.js'

/** What a worker knows of a worktree, in a folder that no run sees. */
const Record = z.object({
  version: z.literal(1),
  /** `making`: a worker may have died in the middle of it; then it is made anew, or taken away. */
  state: z.enum(['making', 'ready']),
  /** The execution that it was made for; its folder in the repository has the same name. */
  id: z.string(),
  /** The token. */
  owner: z.string(),
  /** The checkout, as it was asked for. */
  repository: z.string(),
  /** The repository's folder of references and objects. */
  common: z.string(),
  /** The folder that runs work in. */
  workspace: z.string(),
  ref: z.string(),
  branch: z.string(),
  /** The commit at which it began. */
  base: z.string(),
  createdAt: z.string(),
  /** The execution that works in it now, or whose worker died. */
  usedBy: z.string().optional(),
})
export type WorktreeRecord = z.infer<typeof Record>

interface Place {
  readonly dataDir: string
}

const FILE = 'worktree.json'
const folderOf = ({ dataDir }: Place): string => join(dataDir, 'worktrees')

/** The worker's own folder for a worktree: the record, its index and its view of the repository. */
export const keeperOf = (id: string, place: Place): string => join(folderOf(place), id)

export async function readWorktree(id: string, place: Place): Promise<WorktreeRecord | undefined> {
  const text = await readFile(join(keeperOf(id, place), FILE), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Record.parse(JSON.parse(text))
}

export async function writeWorktree(record: WorktreeRecord, place: Place): Promise<void> {
  const folder = keeperOf(record.id, place)
  await makeFolder(folder, 0o700)
  const draft = join(folder, `${FILE}.new`)
  await writeFile(draft, JSON.stringify(record), { mode: 0o600 })
  await rename(draft, join(folder, FILE))
}

export const forgetWorktree = (id: string, place: Place): Promise<void> => removeTree(keeperOf(id, place))

/** Oldest first. */
export async function listWorktrees(place: Place): Promise<WorktreeRecord[]> {
  const ids = await readdir(folderOf(place)).catch(() => [])
  const found = await Promise.all(ids.map((id) => readWorktree(id, place)))
  return found
    .filter((record) => record !== undefined)
    .sort((one, other) => (one.createdAt < other.createdAt ? -1 : one.createdAt > other.createdAt ? 1 : 0))
}

/** Says who works in it, or with undefined that `was` does no more. */
export async function useWorktree(
  id: string,
  place: Place,
  { usedBy, was }: { readonly usedBy?: string; readonly was?: string },
): Promise<void> {
  const record = await readWorktree(id, place)
  if (record && (was === undefined || record.usedBy === was)) await writeWorktree({ ...record, usedBy }, place)
}
