import { realpathSync, statSync } from 'node:fs'
import { dirname, sep } from 'node:path'

import type { Sandbox } from './sandbox.js'

/** The system's own folders. Links (`/bin` → `usr/bin`) stay links; /nix/store is the system's where there is one. */
export const SYSTEM = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/opt',
  '/nix/store',
] as const
/** Files that belong to /etc but lie elsewhere on some systems. */
const OF_ETC = ['/etc/resolv.conf', '/etc/hosts', '/etc/localtime', '/etc/nsswitch.conf']

export const isInside = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
const depth = (path: string): number => path.split(sep).length

export function resolved(path: string): string | undefined {
  try {
    // One call of the system's; the other one looks at each part of the path.
    return realpathSync.native(path)
  } catch {
    return undefined
  }
}

export interface Mount {
  readonly path: string
  readonly kind: 'read' | 'write' | 'socket' | 'hidden_folder' | 'hidden_file' | 'protected' | 'pinned'
  /** Of a pin: the mount that it is a part of. */
  readonly above?: string
}

/** What is given wins over what is hidden where both name the same place; the rest is decided by which lies deeper. */
const RANK: Record<Mount['kind'], number> = {
  hidden_folder: 0,
  hidden_file: 0,
  read: 1,
  socket: 2,
  write: 3,
  protected: 4,
  pinned: 5,
}
/** Of no use where nothing shows the place. */
const WITHHOLDS: ReadonlySet<Mount['kind']> = new Set(['hidden_folder', 'hidden_file', 'protected'])

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** By depth: what lies in another one comes after it. */
export function listMounts(
  workspace: string,
  { writable, readable, sockets, hidden, protected: kept }: Sandbox,
): Mount[] {
  const byPath = new Map<string, Mount>()
  // Once for each path: they are forty, each a look at every part of it.
  const seen = new Map<string, string | undefined>()
  function resolve(path: string): string | undefined {
    if (!seen.has(path)) seen.set(path, resolved(path))
    return seen.get(path)
  }
  const add = (paths: readonly string[], kind: (path: string) => Mount['kind']): void => {
    for (const path of paths) {
      const real = resolve(path)
      if (real === undefined || real === sep) continue
      const mount = { path: real, kind: kind(real) }
      const present = byPath.get(real)
      if (!present || RANK[present.kind] < RANK[mount.kind]) byPath.set(real, mount)
    }
  }
  add(hidden, (path) => (isFolder(path) ? 'hidden_folder' : 'hidden_file'))
  add(
    OF_ETC.filter((path) => resolved(path)?.startsWith('/etc/') === false),
    () => 'read',
  )
  add(readable, () => 'read')
  add(sockets, () => 'socket')
  add(writable, () => 'write')
  // What is hidden stays so, also where it holds something that is protected.
  const secret = hidden.flatMap((path) => resolve(path) ?? [])
  add(
    kept.filter((path) => {
      const real = resolve(path) ?? path
      return !secret.some((folder) => isInside(real, folder))
    }),
    () => 'protected',
  )
  // As it is: its caller has opened it, and looking again would be another look.
  byPath.set(workspace, { path: workspace, kind: 'write' })
  const all = byDepth(byPath.values())
  // What would not be seen need not be hidden.
  const given = all.filter(({ kind }) => !WITHHOLDS.has(kind))
  const shown = all.filter(({ path, kind }) => !WITHHOLDS.has(kind) || isVisible(path, given))
  return byDepth([...shown, ...listPins(shown)])
}

const byDepth = (mounts: Iterable<Mount>): Mount[] =>
  [...mounts].sort((a, b) => depth(a.path) - depth(b.path) || (a.path < b.path ? -1 : 1))

const deepestAbove = (path: string, mounts: readonly Mount[]): Mount | undefined =>
  mounts.filter((mount) => mount.path !== path && isInside(path, mount.path)).at(-1)

/**
 * A mount cannot be renamed, but the folders above it can: a run would move one that it may write out of the way, with
 * what is hidden or read-only in it, and put another in its place, which the service finds at its next start. So they
 * are mounts as well.
 */
function listPins(mounts: readonly Mount[]): Mount[] {
  const pins = new Map<string, Mount>()
  for (const { path, kind } of mounts) {
    const above = kind === 'write' ? undefined : deepestAbove(path, mounts)
    if (above?.kind !== 'write') continue
    for (let folder = dirname(path); folder !== above.path; folder = dirname(folder))
      pins.set(folder, { path: folder, kind: 'pinned', above: above.path })
  }
  return [...pins.values()]
}

const isVisible = (path: string, given: readonly Mount[]): boolean =>
  SYSTEM.some((folder) => isInside(path, folder)) || given.some((mount) => isInside(path, mount.path))
