import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'

import type { Sandbox } from './sandbox.js'
import { isInside, listMounts, resolved, SYSTEM, type Mount } from './sandbox-mounts.js'

const TEMPORARY_BYTES = 1024 ** 3
const SMALL_BYTES = 256 * 1024 ** 2
/** They are memory: a run that fills all of them keeps enough of its own for the CLI. */
const TEMPORARY_SHARE = 1 / 4
const SMALL_SHARE = 1 / 16
export const PROXY_FOLDER = '/run/cc/sock'

function systemArguments(): string[] {
  return SYSTEM.flatMap((path) => {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (!stats) return []
    return stats.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path]
  })
}

function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let parent = dirname(path); parent !== sep; parent = dirname(parent)) parents.unshift(parent)
  return parents
}

/**
 * How the folder that stands for this path is named to bubblewrap: by `--bind-fd` and a descriptor, or by `--bind` and
 * a path. `above`: the folder that it is a part of, which is shown as well.
 */
export type Bind = (path: string, kind: 'read' | 'write', above?: string) => readonly [option: string, source: string]

/** What of the file system a run sees; everything that is not named does not exist in it. */
export interface View {
  /** Whether a file of the host is there in the run as well. */
  has(path: string): boolean
  /** As bubblewrap's arguments. */
  toArguments(bind: Bind, privateFiles: readonly string[]): string[]
  /** What only its owner can use as it stands on disk: a run with a uid of its own needs it shown as its own. */
  readonly owned: readonly string[]
  /** Everything of the host that is shown, beside the system's own. */
  readonly paths: readonly string[]
}

function isEverybodys(path: string): boolean {
  try {
    return (statSync(path).mode & 0o004) !== 0
  } catch {
    return false
  }
}

export function viewOf(workspace: string, sandbox: Sandbox): View {
  const mounts = listMounts(workspace, sandbox)
  return {
    paths: mounts.map(({ path }) => path),
    owned: mounts
      .filter(({ path, kind }) => kind === 'write' || kind === 'socket' || (kind === 'read' && !isEverybodys(path)))
      .map(({ path }) => path),
    has(path) {
      const real = resolved(path)
      if (real === undefined) return false
      const deepest = mounts.filter((mount) => isInside(real, mount.path)).at(-1)
      return deepest ? !deepest.kind.startsWith('hidden') : SYSTEM.some((folder) => isInside(real, folder))
    },
    toArguments: (bind, privateFiles) => toArguments(mounts, sandbox, bind, privateFiles),
  }
}

function toArguments(
  mounts: readonly Mount[],
  { proxyFolder, limits: { memory = Infinity } }: Sandbox,
  bind: Bind,
  privateFiles: readonly string[],
): string[] {
  const made = new Set<string>()
  const temporary = String(Math.min(TEMPORARY_BYTES, Math.floor(memory * TEMPORARY_SHARE)))
  const small = String(Math.min(SMALL_BYTES, Math.floor(memory * SMALL_SHARE)))
  const makeParents = (path: string): string[] =>
    parentsOf(path)
      .filter((parent) => !made.has(parent) && made.add(parent))
      .flatMap((parent) => ['--perms', '0755', '--dir', parent])
  const closing: string[] = []
  const bound = mounts.flatMap(({ path, kind, above }): string[] => {
    switch (kind) {
      case 'hidden_folder':
        closing.unshift('--remount-ro', path)
        return [...makeParents(path), '--perms', '0755', '--size', '65536', '--tmpfs', path]
      case 'hidden_file':
        return [...makeParents(path), '--ro-bind', '/dev/null', path]
      case 'read':
      case 'protected':
        return [...makeParents(path), ...bind(path, 'read'), path]
      default:
        return [...makeParents(path), ...bind(path, 'write', above), path]
    }
  })
  return [
    ...systemArguments(),
    ...['/run', '/home', '/root', '/var'].flatMap((path) => ['--perms', '0755', '--dir', path]),
    '--perms',
    '1777',
    '--size',
    small,
    '--tmpfs',
    '/var/tmp',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--perms',
    '1777',
    '--size',
    small,
    '--tmpfs',
    '/dev/shm',
    '--perms',
    '1777',
    '--size',
    temporary,
    '--tmpfs',
    '/tmp',
    ...privateFiles.flatMap((path) => ['--ro-bind', '/dev/null', path]),
    ...bound,
    ...(proxyFolder === undefined ? [] : [...makeParents(PROXY_FOLDER), '--ro-bind', proxyFolder, PROXY_FOLDER]),
    ...closing,
    '--remount-ro',
    '/',
  ]
}

/** Files of the system's configuration that not everybody may read. */
export function listPrivateFiles(folder = '/etc', level = 0): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isSymbolicLink()) return []
      const isPrivate = (statSync(path).mode & 0o004) === 0
      if (entry.isFile()) return isPrivate ? [path] : []
      // A private folder's files are private by it; deeper than this nothing of a system's lies.
      return entry.isDirectory() && level < 6 ? listPrivateFiles(path, level + 1) : []
    })
  } catch {
    return []
  }
}
