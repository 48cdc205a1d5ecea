import { createHash, randomUUID } from 'node:crypto'
import { constants, createWriteStream } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { openConfined } from '../platform/confined-folder.js'
import { makeFolder } from '../platform/make-folder.js'
import type { LfsPointer } from './lfs-pointers.js'

/** Where git-lfs keeps the files of a repository. */
export const lfsOf = (repository: string): string => join(repository, 'lfs')

const nameOf = (oid: string): string => join('lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid)

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  )

/** Those that a repository of the worker's does not have. */
export async function findMissing(repository: string, pointers: readonly LfsPointer[]): Promise<LfsPointer[]> {
  const sizes = await Promise.all(pointers.map(({ oid }) => sizeOf(join(repository, nameOf(oid)))))
  return pointers.filter(({ size }, index) => sizes[index] !== size)
}

/** Gives them to another repository: `link` where only the worker can write both, else each gets its own copy. */
export async function giveFiles(
  from: string,
  to: string,
  pointers: readonly LfsPointer[],
  how: 'link' | 'copy',
): Promise<void> {
  for (const { oid } of pointers) {
    const [source, target] = [join(from, nameOf(oid)), join(to, nameOf(oid))]
    await mkdir(dirname(target), { recursive: true })
    const isLinked =
      how === 'link' &&
      (await link(source, target).then(
        () => true,
        (error: unknown) => error instanceof Error && 'code' in error && error.code === 'EEXIST',
      ))
    // Where the file system can, a copy takes no place until one of both is written.
    if (!isLinked) await copyFile(source, target, constants.COPYFILE_FICLONE)
  }
}

/** All that a repository of the worker's has. */
export async function listFiles(repository: string): Promise<LfsPointer[]> {
  const folder = join(lfsOf(repository), 'objects')
  const names = await readdir(folder, { recursive: true }).catch((): string[] => [])
  const oids = names.map((name) => name.slice(name.lastIndexOf('/') + 1)).filter((name) => /^[0-9a-f]{64}$/.test(name))
  const sizes = await Promise.all(oids.map((oid) => sizeOf(join(repository, nameOf(oid)))))
  return oids.flatMap((oid, index) => {
    const size = sizes[index]
    return size === undefined ? [] : [{ oid, size }]
  })
}

export const removeFile = (repository: string, { oid }: LfsPointer): Promise<void> =>
  rm(join(repository, nameOf(oid)), { force: true })

/**
 * Takes files out of a repository that a run has written, through no link, each only if it is what its name says.
 * @param git the run's `.git`
 */
export async function takeFiles(git: string, keeper: string, pointers: readonly LfsPointer[]): Promise<void> {
  for (const { oid, size } of pointers) {
    const file = await openConfined(git, nameOf(oid)).catch(() => undefined)
    if (!file) continue
    const drafts = join(lfsOf(keeper), 'taken')
    const draft = join(drafts, randomUUID())
    try {
      await makeFolder(drafts, 0o700)
      const hash = createHash('sha256')
      let bytes = 0
      const look = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk)
          bytes += chunk.length
          // It grows while it is read, or is another one.
          done(bytes > size ? new Error('It is larger than it says.') : null, chunk)
        },
      })
      const isTaken = await pipeline(file.createReadStream({ autoClose: false }), look, createWriteStream(draft)).then(
        () => bytes === size && hash.digest('hex') === oid,
        () => false,
      )
      if (!isTaken) continue
      const target = join(keeper, nameOf(oid))
      await mkdir(dirname(target), { recursive: true })
      await rename(draft, target)
    } finally {
      await file.close()
      await rm(draft, { force: true })
    }
  }
}

const PIECE = 4 * 1024 * 1024
/** No secret is longer. */
const OVERLAP = 64 * 1024

/** Whether one of the files has something in it, which may stand anywhere. */
export async function someFileHolds(
  keeper: string,
  pointers: readonly LfsPointer[],
  holds: (text: string) => boolean,
): Promise<boolean> {
  const buffer = Buffer.alloc(PIECE)
  for (const { oid } of pointers) {
    const file = await open(join(keeper, nameOf(oid))).catch(() => undefined)
    // What is missing goes nowhere.
    if (!file) continue
    try {
      let at = 0
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, PIECE, at)
        if (holds(buffer.toString('utf8', 0, bytesRead))) return true
        if (bytesRead < PIECE) break
        at += PIECE - OVERLAP
      }
    } finally {
      await file.close()
    }
  }
  return false
}
