import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  opendirSync,
  readlinkSync,
  readSync,
  type Dirent,
  type Stats,
} from 'node:fs'
import { OPEN_FOLDER_FLAGS, pathOf } from '../platform/folder-identity.js'
import { sha256 } from '../platform/hash.js'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * What a manifest says of one entry; inode and times are only for seeing that it was touched and stand in no digest.
 */
export interface ManifestEntry {
  readonly path: string
  readonly kind: 'file' | 'link' | 'other'
  readonly mode: number
  readonly size: number
  /** Of a file's content or a link's target; absent where it was not read. */
  readonly sha256?: string
  readonly ino: number
  readonly mtimeMs: number
  readonly ctimeMs: number
}

export interface ManifestLimits {
  /** Names of files and folders that are not looked at, wherever they are. */
  readonly ignored: readonly string[]
  readonly maxEntries: number
  /** A larger file counts by its size. */
  readonly maxFileBytes: number
  /** So much is read in all; what comes after counts by its size. */
  readonly maxBytes: number
  readonly maxMs: number
}

export interface Manifest {
  /** By path. */
  readonly entries: readonly ManifestEntry[]
  readonly hashedBytes: number
  /** Why not all of it was looked at; absent when all was. */
  readonly incomplete?: string
  /** When the walk began, in milliseconds since the epoch: what was touched after that may have been read too early. */
  readonly begunAt: number
}

/** Told of each file that was read in one piece, and of each link's target; the bytes are only lent. */
export type OnContent = (path: string, bytes: Buffer) => void

const MIB = 1024 * 1024
export const DEFAULT_LIMITS = {
  maxEntries: 200_000,
  maxFileBytes: 16 * MIB,
  maxBytes: 1024 * MIB,
  maxMs: 10_000,
} as const

const CHUNK_BYTES = MIB
/**
 * One for all walks, since a file is read without a pause: one each, two a run, set off a full garbage collection for
 * every fourth run (measured: a third of the worker's CPU for runs that end at once).
 */
let chunk: Buffer | undefined
/**
 * File systems keep time in steps of a few milliseconds: what was written so shortly before a look may be written again
 * unseen.
 */
const CLOCK_STEP_MS = 20
/** In between, whatever else the process does has its turn: a slice takes a few milliseconds. */
const ENTRIES_PER_TURN = 100

interface Walk {
  readonly limits: ManifestLimits
  readonly known: ReadonlyMap<string, ManifestEntry>
  readonly knownSince: number
  readonly entries: ManifestEntry[]
  readonly deadline: number
  readonly onContent: OnContent | undefined
  /** What the kernel calls the workspace; undefined where it does not tell. */
  root: string | undefined
  hashedBytes: number
  incomplete: string | undefined
}

const isLate = (walk: Walk): boolean => {
  if (performance.now() > walk.deadline) walk.incomplete ??= `it took longer than ${walk.limits.maxMs} ms`
  return walk.incomplete !== undefined
}

/**
 * Whoever writes to a file changes its ctime, which no program can set; Node gives it to a quarter of a microsecond.
 */
const isUntouched = (
  before: ManifestEntry | undefined,
  { ino, size, mtimeMs, ctimeMs }: Stats,
  knownSince: number,
): before is ManifestEntry & { sha256: string } =>
  before?.sha256 !== undefined &&
  before.size === size &&
  before.ino === ino &&
  before.mtimeMs === mtimeMs &&
  before.ctimeMs === ctimeMs &&
  ctimeMs < knownSince

const modeOf = ({ mode }: Stats): number => mode & 0o7777

function readContent(descriptor: number, size: number, path: string, walk: Walk): string | undefined {
  const { limits } = walk
  chunk ??= Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const buffer = chunk
  if (size > limits.maxFileBytes || walk.hashedBytes >= limits.maxBytes) return undefined
  const hash = createHash('sha256')
  // A file that grows while it is read is read up to the limit and no further.
  for (let total = 0; total <= limits.maxFileBytes;) {
    const count = readSync(descriptor, buffer, 0, CHUNK_BYTES, null)
    hash.update(count === CHUNK_BYTES ? buffer : buffer.subarray(0, count))
    total += count
    walk.hashedBytes += count
    // What is shorter than asked for ends there, so that small files cost one read.
    if (count < CHUNK_BYTES && total >= size) {
      if (total === count) walk.onContent?.(path, buffer.subarray(0, count))
      return hash.digest('hex')
    }
    if (isLate(walk) || count === 0) return undefined
  }
  return undefined
}

/**
 * Opens without ever waiting: a fifo that took the place of the file since the folder was listed opens at once
 * (O_NONBLOCK), and is then seen to be none. false where it cannot be opened.
 */
function readFile(path: string, relative: string, walk: Walk): boolean {
  let descriptor: number
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY)
  } catch {
    return false
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) return false
    let sha256: string | undefined
    try {
      sha256 = readContent(descriptor, stats.size, relative, walk)
    } catch {
      // An error of the disk: it counts by its size.
    }
    const { ino, size, mtimeMs, ctimeMs } = stats
    walk.entries.push({
      path: relative,
      kind: 'file',
      mode: modeOf(stats),
      size,
      ino,
      mtimeMs,
      ctimeMs,
      sha256,
    })
    return true
  } finally {
    closeSync(descriptor)
  }
}

function examineEntry(path: string, relative: string, walk: Walk): 'folder' | undefined {
  let stats: Stats
  try {
    stats = lstatSync(path)
  } catch {
    // Gone since the folder was listed, or a name that is no UTF-8 and cannot be said.
    if (relative.includes('\ufffd'))
      walk.entries.push({ path: relative, kind: 'other', mode: 0, size: 0, ino: 0, mtimeMs: 0, ctimeMs: 0 })
    return undefined
  }
  if (stats.isDirectory()) return 'folder'
  const { ino, size, mtimeMs, ctimeMs } = stats
  const common = { path: relative, ino, mtimeMs, ctimeMs }
  if (stats.isFile()) {
    const before = walk.known.get(relative)
    // The same file, untouched since before the first look began: its content is known.
    if (isUntouched(before, stats, walk.knownSince))
      walk.entries.push(before.mode === modeOf(stats) ? before : { ...before, mode: modeOf(stats) })
    else if (!readFile(path, relative, walk)) walk.entries.push({ ...common, kind: 'file', mode: modeOf(stats), size })
  } else if (stats.isSymbolicLink()) {
    // Never followed, so a loop is only a text.
    const target = readTarget(path)
    walk.onContent?.(relative, target)
    walk.entries.push({
      ...common,
      kind: 'link',
      mode: 0,
      size: 0,
      sha256: sha256(target),
    })
  } else {
    walk.entries.push({ ...common, kind: 'other', mode: modeOf(stats), size: 0 })
  }
  return undefined
}

function readTarget(path: string): Buffer {
  try {
    return readlinkSync(path, { encoding: 'buffer' })
  } catch {
    return Buffer.alloc(0)
  }
}

/** A folder of the workspace, entered: its entries are looked at by its descriptor. */
interface Entered {
  readonly address: string
  leave(): void
}

/**
 * Through no link: not at its end, and where one has come to stand in its path, the kernel calls what was opened by
 * another name.
 */
function enterFolder(path: string, relative: string, walk: Walk): Entered | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, relative === '' ? constants.O_RDONLY | constants.O_DIRECTORY : OPEN_FOLDER_FLAGS)
  } catch {
    return undefined
  }
  const leave = (): void => closeSync(descriptor)
  const found = pathOf(descriptor)
  if (relative === '') walk.root = found
  else if (walk.root !== undefined && found !== `${walk.root === '/' ? '' : walk.root}/${relative}`) {
    leave()
    return undefined
  }
  return { address: found === undefined ? path : `/proc/self/fd/${descriptor}`, leave }
}

/** The names in a folder, as many as may still be counted; a folder that cannot be read has none that anybody knows. */
function list(entered: Entered | undefined, relative: string, walk: Walk): Dirent[] {
  const names: Dirent[] = []
  try {
    if (!entered) throw new Error('not entered')
    const folder = opendirSync(entered.address, { bufferSize: 1_024 })
    try {
      for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
        if (names.length + walk.entries.length >= walk.limits.maxEntries) {
          walk.incomplete ??= `it holds more than ${walk.limits.maxEntries} entries`
          break
        }
        if (!walk.limits.ignored.includes(entry.name)) names.push(entry)
      }
    } finally {
      folder.closeSync()
    }
  } catch {
    // Counted as something that is there and was not read.
    if (relative !== '')
      walk.entries.push({ path: `${relative}/`, kind: 'other', mode: 0, size: 0, ino: 0, mtimeMs: 0, ctimeMs: 0 })
    else walk.incomplete ??= 'the folder cannot be read'
  }
  return names
}

const byPath = (a: ManifestEntry, b: ManifestEntry): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)

/**
 * What lies in a folder. Bounded in entries, bytes and time; follows no link, waits for no fifo, opens no device;
 * what cannot be read counts by what can be seen of it. With an earlier manifest only what was touched is read again.
 */
export async function takeManifest(
  root: string,
  limits: ManifestLimits,
  before?: Manifest,
  onContent?: OnContent,
): Promise<Manifest> {
  const begunAt = Date.now()
  const walk: Walk = {
    limits,
    onContent,
    entries: [],
    root: undefined,
    hashedBytes: 0,
    incomplete: undefined,
    known: new Map(before?.entries.map((entry) => [entry.path, entry])),
    knownSince: (before?.begunAt ?? 0) - CLOCK_STEP_MS,
    deadline: performance.now() + limits.maxMs,
  }
  let looked = 0
  // A list and no recursion: however deep the folders are nested.
  const folders: Array<{ path: string; relative: string }> = [{ path: root, relative: '' }]
  for (let folder = folders.pop(); folder && !isLate(walk); folder = folders.pop()) {
    const entered = enterFolder(folder.path, folder.relative, walk)
    try {
      for (const entry of list(entered, folder.relative, walk)) {
        const relative = folder.relative === '' ? entry.name : `${folder.relative}/${entry.name}`
        const path = `${entered?.address}/${entry.name}`
        // A folder by the listing is one; a file that is not known yet is opened at once: one call less for each.
        const isFolder =
          entry.isDirectory() ||
          (!(before === undefined && entry.isFile() && readFile(path, relative, walk)) &&
            examineEntry(path, relative, walk) === 'folder')
        if (isFolder) folders.push({ path: `${root}/${relative}`, relative })
        looked += 1
        if (looked % ENTRIES_PER_TURN === 0) await nextTurn()
        if (isLate(walk)) break
      }
    } finally {
      entered?.leave()
    }
  }
  return {
    entries: walk.entries.sort(byPath),
    hashedBytes: walk.hashedBytes,
    begunAt,
    incomplete: walk.incomplete,
  }
}
