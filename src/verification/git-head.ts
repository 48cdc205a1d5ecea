import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { OPEN_FOLDER_FLAGS, pathOf } from '../platform/folder-identity.js'
import type { GitHead } from '../protocol/verification.js'

const REF_BYTES = 4 * 1024
/** A repository with more packed branches than fit tells its branch without a commit. */
const PACKED_BYTES = 1024 * 1024
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
/** As git admits names, which leaves no way out of its folder. */
const REF = /^ref: (refs\/(?!.*\.\.)[^\p{Cc}\s~^:?*[\\]+)$/u

interface GitFolder {
  readonly address: string
  /** What the kernel calls it; undefined where it does not tell. */
  readonly path: string | undefined
}

/**
 * A plain file of at most so many bytes; opens without ever waiting, whatever an agent has put there, and through no
 * link: what stands in its path may not lead elsewhere either.
 */
function readText(git: GitFolder, name: string, limitBytes: number): string | undefined {
  const path = join(git.address, name)
  try {
    if (!lstatSync(path).isFile()) return undefined
    const descriptor = openSync(
      path,
      constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY,
    )
    try {
      const { size } = fstatSync(descriptor)
      if (!fstatSync(descriptor).isFile() || size > limitBytes) return undefined
      if (git.path !== undefined && pathOf(descriptor) !== join(git.path, name)) return undefined
      const buffer = Buffer.alloc(size)
      return buffer
        .subarray(0, readSync(descriptor, buffer, 0, size, 0))
        .toString()
        .trimEnd()
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return undefined
  }
}

const toCommit = (text: string | undefined): string | undefined =>
  text !== undefined && COMMIT.test(text) ? text : undefined

/**
 * Where the repository of a workspace stands, by its files alone: git itself would run programs that the repository
 * names.
 * undefined where the workspace is none (`.git` that is a file or a link leads elsewhere, and counts as none).
 */
export function readGitHead(workspace: string): GitHead | undefined {
  const path = join(workspace, '.git')
  let descriptor: number
  try {
    descriptor = openSync(path, OPEN_FOLDER_FLAGS)
  } catch {
    return undefined
  }
  try {
    const found = pathOf(descriptor)
    return readHead({ address: found === undefined ? path : `/proc/self/fd/${descriptor}`, path: found })
  } finally {
    closeSync(descriptor)
  }
}

function readHead(git: GitFolder): GitHead | undefined {
  const head = readText(git, 'HEAD', REF_BYTES)
  const detached = toCommit(head)
  if (detached !== undefined) return { commit: detached }
  const ref = head === undefined ? undefined : REF.exec(head)?.[1]
  if (ref === undefined) return undefined
  const packed = (): string | undefined =>
    readText(git, 'packed-refs', PACKED_BYTES)
      ?.split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ')[0]
  const commit = toCommit(readText(git, ref, REF_BYTES)) ?? toCommit(packed())
  return { ref, commit }
}
