import { randomUUID } from 'node:crypto'
import { constants, existsSync, type Stats } from 'node:fs'
import { lchown, link, lstat, mkdir, open, readlink, rename, stat, unlink, type FileHandle } from 'node:fs/promises'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
/**
 * Where it is there, a folder is entered from the one before it and by no path: what is exchanged meanwhile leads
 * nowhere else.
 */
const DESCRIPTORS = '/proc/self/fd'
const hasDescriptors = existsSync(DESCRIPTORS)

/** Why a path cannot be used, in words for people and without a path of the host. */
export class ConfinedPathError extends Error {
  override readonly name = 'ConfinedPathError'
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** @throws ConfinedPathError where a path is absolute, leads up, or says nothing */
function split(path: string): { folders: string[]; name: string } {
  const folders = path.split('/')
  const name = folders.pop() ?? ''
  if ([...folders, name].some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
    throw new ConfinedPathError('is not a plain path below the folder')
  return { folders, name }
}

const isRoot = process.getuid?.() === 0

/** What root makes in somebody's folder is that one's, who is to work with it. */
async function makeLikeParent(parent: string, path: string): Promise<void> {
  await mkdir(path, 0o755)
  if (!isRoot) return
  const { uid, gid } = await stat(parent)
  if (uid !== 0) await lchown(path, uid, gid)
}

/**
 * Gives `act` an address of the folder in which the path's last name stands. No symbolic link is followed below the
 * root.
 */
async function inParent<Result>(
  root: string,
  path: string,
  makes: boolean,
  act: (address: string, name: string) => Promise<Result>,
): Promise<Result> {
  const { folders, name } = split(path)
  let folder: FileHandle = await open(root, O_RDONLY | O_DIRECTORY)
  let address = hasDescriptors ? `${DESCRIPTORS}/${folder.fd}` : root
  try {
    for (const part of folders) {
      const next = `${address}/${part}`
      if (makes)
        await makeLikeParent(address, next).catch((error: unknown) => {
          if (codeOf(error) !== 'EEXIST') throw error
        })
      const entered = await open(next, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch((error: unknown) => {
        if (['ENOTDIR', 'ELOOP'].includes(codeOf(error)))
          throw new ConfinedPathError('leads through something that is not a folder, or through a symbolic link')
        throw error
      })
      await folder.close()
      folder = entered
      address = hasDescriptors ? `${DESCRIPTORS}/${folder.fd}` : next
    }
    return await act(address, name)
  } finally {
    await folder.close()
  }
}

/**
 * A regular file, opened for reading: through no link, waiting for no fifo, and no device.
 * @throws ConfinedPathError, or an errno exception
 */
export function openConfined(root: string, path: string): Promise<FileHandle> {
  return inParent(root, path, false, async (address, name) => {
    const file = await open(`${address}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
    const stats = await file.stat()
    if (stats.isFile()) return file
    await file.close()
    throw new ConfinedPathError(describeKind(stats))
  })
}

/**
 * A regular file's bytes; `too_large` beyond the limit, undefined where there is none that can be read.
 * Waits for no fifo, opens no device for reading, follows no link.
 */
export async function readConfined(
  root: string,
  path: string,
  limitBytes: number,
): Promise<Buffer | 'too_large' | undefined> {
  try {
    const file = await openConfined(root, path)
    try {
      const { size } = await file.stat()
      if (size > limitBytes) return 'too_large'
      const bytes = Buffer.alloc(size + 1)
      let length = 0
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
        length += bytesRead
        // Longer than it was a moment ago: somebody is writing it.
        if (length === bytes.length) return undefined
        if (bytesRead === 0) return bytes.subarray(0, length)
      }
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

/** Removes a file below the root. @throws ConfinedPathError, or an errno exception */
export async function removeConfined(root: string, path: string): Promise<void> {
  await inParent(root, path, false, (address, name) => unlink(`${address}/${name}`))
}

/** A link's target, through no other link; undefined where there is none. */
export async function readLinkConfined(root: string, path: string): Promise<Buffer | undefined> {
  try {
    return await inParent(root, path, false, (address, name) => readlink(`${address}/${name}`, { encoding: 'buffer' }))
  } catch {
    return undefined
  }
}

function describeKind(stats: Stats): string {
  if (stats.isDirectory()) return 'names a folder'
  return stats.isSymbolicLink() ? 'names a symbolic link' : 'names something that is not a file'
}

/**
 * Writes a file below the root, its folders made where they are missing. It appears whole or not at all.
 * `replaces`: a regular file of that name is replaced; otherwise it is refused. Anything else of that name always is.
 * @throws ConfinedPathError, or an errno exception
 */
export async function writeConfined(
  root: string,
  path: string,
  content: Uint8Array,
  { mode = 0o644, replaces }: { mode?: number; replaces: boolean },
): Promise<void> {
  await inParent(root, path, true, async (address, name) => {
    const target = `${address}/${name}`
    const present = await lstat(target).catch(() => undefined)
    if (present && !present.isFile()) throw new ConfinedPathError(describeKind(present))
    if (present && !replaces) throw new ConfinedPathError('already exists')
    const draft = `${address}/.cc-executor-${randomUUID()}`
    const file = await open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    try {
      await file.writeFile(content)
      const { uid, gid } = await stat(address)
      if (isRoot && uid !== 0) await file.chown(uid, gid)
      await file.close()
      // Neither goes through a link that came to stand there meanwhile.
      if (replaces) await rename(draft, target)
      else await link(draft, target)
    } finally {
      await file.close().catch(() => undefined)
      await unlink(draft).catch(() => undefined)
    }
  })
}
