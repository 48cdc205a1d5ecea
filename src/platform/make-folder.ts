import { lchown, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** `mkdir -p` for somebody: what root makes below another one's folder is that one's. */
export async function makeFolderFor(owner: { uid: number; gid: number }, path: string, mode: number): Promise<void> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  if (isThere || dirname(path) === path) return makeFolder(path, mode)
  await makeFolderFor(owner, dirname(path), mode)
  const isMine = await mkdir(path, { mode }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  // By no link: whoever may write the folder above may have put one in its place.
  if (isMine) await lchown(path, owner.uid, owner.gid)
}

/**
 * `mkdir -p`. Node 20's own `recursive` never returns where a parent takes no folders and says ENOENT, as /proc does:
 * the thread is busy for ever.
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    // Safe: node:fs rejects with errno exceptions.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && dirname(path) !== path) {
      await makeFolder(dirname(path), mode)
      await mkdir(path, { mode }).catch((again: NodeJS.ErrnoException) => {
        // Two processes may make it at once.
        if (again.code !== 'EEXIST') throw again
      })
    } else if (!(code === 'EEXIST' && (await stat(path)).isDirectory())) {
      throw error
    }
  }
}
