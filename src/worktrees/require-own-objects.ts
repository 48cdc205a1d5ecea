import { lstat, readdir, readFile, realpath } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'
import { GitError } from '../git/git-error.js'

const ALTERNATES_BYTES = 64 * 1024
/** As deep as git itself goes. */
const DEPTH = 5

const isInside = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** Where a store of objects says that it borrows some. */
async function listAlternates(objects: string): Promise<string[]> {
  const path = join(objects, 'info/alternates')
  const stats = await lstat(path).catch(() => undefined)
  if (!stats) return []
  if (!stats.isFile() || stats.size > ALTERNATES_BYTES)
    throw new GitError('failed', 'Its list of alternates cannot be read.')
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => (isAbsolute(line) ? line : resolve(objects, line)))
}

async function requireNoLinks(objects: string): Promise<void> {
  for (const [folder, isFolder] of [
    [objects, true],
    [join(objects, 'pack'), false],
  ] as const)
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => []))
      if (entry.isSymbolicLink() || (isFolder && entry.name === 'pack' && !entry.isDirectory()))
        throw new GitError('failed', 'A part of its objects is a symbolic link.')
}

/**
 * The worker reads these objects with its own rights and hands them to a run: all of them must lie in folders in which
 * runs may work. A repository may borrow from others, and be told so by a run. @throws GitError
 */
export async function requireOwnObjects(common: string, roots: readonly string[]): Promise<void> {
  let stores = [join(common, 'objects')]
  for (let depth = 0; stores.length > 0; depth += 1) {
    if (depth > DEPTH) throw new GitError('failed', 'It borrows objects over too many repositories.')
    const next: string[] = []
    for (const store of stores) {
      const real = await realpath(store).catch(() => undefined)
      if (real === undefined) {
        // Of the repository itself they must be there; git passes over others that are gone.
        if (depth === 0) throw new GitError('failed', 'It has no objects.')
        continue
      }
      if (!roots.some((root) => isInside(real, root)))
        throw new GitError('failed', 'It borrows objects from a repository outside of the allowed folders.')
      await requireNoLinks(real)
      next.push(...(await listAlternates(real)))
    }
    stores = next
  }
}
