import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { OPEN_FOLDER_FLAGS, pathOf } from '../platform/folder-identity.js'

const POINTER_BYTES = 8 * 1024
const CONFIG_BYTES = 256 * 1024

/** A folder of git's that is open: what is read in it is read by its descriptor. */
export interface GitFolder {
  readonly address: string
  /** What the kernel calls it; undefined where it does not tell. */
  readonly path: string | undefined
  close(): void
}

/** Where a workspace's repository keeps its files; both are one folder but for a worktree. */
export interface GitFolders {
  /** HEAD and index. */
  readonly own: GitFolder
  /** Branches and tags, objects, configuration. */
  readonly common: GitFolder
  close(): void
}

/**
 * A plain file of at most so many bytes; opens without ever waiting, whatever an agent has put there, and through no
 * link: what stands in its path may not lead elsewhere either.
 */
export function readGitFile(folder: Omit<GitFolder, 'close'>, name: string, limitBytes: number): string | undefined {
  const path = join(folder.address, name)
  try {
    if (!lstatSync(path).isFile()) return undefined
    const descriptor = openSync(
      path,
      constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY,
    )
    try {
      const { size } = fstatSync(descriptor)
      if (!fstatSync(descriptor).isFile() || size > limitBytes) return undefined
      if (folder.path !== undefined && pathOf(descriptor) !== join(folder.path, name)) return undefined
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

function openGitFolder(path: string): GitFolder | undefined {
  try {
    const descriptor = openSync(path, OPEN_FOLDER_FLAGS)
    const found = pathOf(descriptor)
    let isOpen = true
    return {
      address: found === undefined ? path : `/proc/self/fd/${descriptor}`,
      path: found,
      close: () => {
        if (isOpen) closeSync(descriptor)
        isOpen = false
      },
    }
  } catch {
    return undefined
  }
}

const realOf = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** `worktree = …` of a submodule's own configuration: the one setting that is looked for, and only compared. */
function readWorktreeSetting(folder: GitFolder): string[] {
  return ['config.worktree', 'config'].flatMap((name) => {
    const text = readGitFile(folder, name, CONFIG_BYTES) ?? ''
    return [...text.matchAll(/^\s*worktree\s*=\s*(?:"((?:[^"\\\n]|\\.)*)"|([^"\n]*?))\s*$/gm)].map(
      ([, quoted, plain]) => quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '',
    )
  })
}

/**
 * Whether that folder of git's names this workspace as its own. A run can write any path into its `.git`, but nothing
 * into the repositories of others: without this it would have the worker tell it where those stand.
 */
function belongsTo(folder: GitFolder, path: string, workspace: string): boolean {
  const back = readGitFile(folder, 'gitdir', POINTER_BYTES)
  const claims = [
    ...(back === undefined ? [] : [dirname(resolve(path, back))]),
    ...readWorktreeSetting(folder).map((value) => resolve(path, value)),
  ]
  return claims.some((claim) => realOf(claim) === workspace)
}

/** What a `.git` that is a file points to: of a worktree or a submodule. */
function openPointed(workspace: { readonly address: string; readonly path: string }): GitFolders | undefined {
  const target = /^gitdir: ([^\0\n]+)$/.exec(readGitFile(workspace, '.git', POINTER_BYTES) ?? '')?.[1]
  const path = target && realOf(isAbsolute(target) ? target : join(workspace.path, target))
  const own = path === undefined || path === '' ? undefined : openGitFolder(path)
  if (!own || path === undefined) return undefined
  const close = (): void => own.close()
  if ((own.path ?? path) !== path || !belongsTo(own, path, workspace.path)) {
    close()
    return undefined
  }
  // Only git makes folders there: what `commondir` says need not be believed.
  if (basename(dirname(path)) !== 'worktrees' || readGitFile(own, 'commondir', POINTER_BYTES) === undefined)
    return { own, common: own, close }
  const common = openGitFolder(dirname(dirname(path)))
  if (!common) {
    close()
    return undefined
  }
  return {
    own,
    common,
    close: () => {
      close()
      common.close()
    },
  }
}

/**
 * The folders of the repository that a workspace is, by its files alone; the caller closes them. undefined where it is
 * none, or where `.git` is a link, or leads to a repository that does not name the workspace as its own.
 */
export function openGitFolders(workspace: string): GitFolders | undefined {
  const own = openGitFolder(join(workspace, '.git'))
  if (own) return { own, common: own, close: () => own.close() }
  const path = realOf(workspace)
  return path === undefined ? undefined : openPointed({ address: workspace, path })
}
