import { setImmediate as nextTurn } from 'node:timers/promises'
import { readConfined, readLinkConfined } from '../platform/confined-folder.js'
import type { FileContent, WorkspaceFile } from '../protocol/files.js'
import type { FileChange } from '../protocol/verification.js'
import { sha256 as toSha256 } from '../platform/hash.js'
import type { Manifest, ManifestEntry } from '../verification/manifest.js'
import type { BeforeContents } from './before-contents.js'
import { toOmission, toPatch, type FileState } from './patch.js'

/** A listing holds so many entries, what changed first; of those that did not change only so many. */
const LISTED = 10_000
const UNCHANGED_LISTED = 2_000
/** So many files are kept of one execution at most, however small they are. */
const KEPT_FILES = 5_000

/** Where contents and patches go; what cannot be stored is thrown. */
export interface FileSink {
  content(sha256: string, bytes: Buffer): Promise<void>
  patch(path: string, patch: Buffer): Promise<void>
}

export interface CollectOptions {
  readonly workspace: string
  readonly before: Manifest
  readonly after: Manifest
  readonly changes: readonly FileChange[]
  /** undefined: nobody has them, so there are no patches of what was modified or deleted. */
  readonly contentsBefore: BeforeContents | undefined
  readonly limitBytes: number
  readonly sink: FileSink
  /** Of such a file neither content nor patch is kept. */
  readonly holdsSecret?: (bytes: Buffer) => boolean
  /** When it aborts, what has not been read yet is over the limit. */
  readonly signal: AbortSignal
}

export interface CollectedFiles {
  readonly files: readonly WorkspaceFile[]
  readonly notListed: number
  readonly unchanged: number
  readonly keptBytes: number
}

const toMode = (mode: number): string => mode.toString(8).padStart(4, '0')

const toFile = (
  { path, kind, size, mode, sha256 }: ManifestEntry,
  change: WorkspaceFile['change'],
  content: FileContent,
): WorkspaceFile => ({
  path,
  change,
  kind,
  size,
  mode: toMode(mode),
  sha256,
  content,
})

const toState = ({ kind, mode }: ManifestEntry, bytes: Buffer | undefined): FileState => ({
  mode,
  isLink: kind === 'link',
  bytes: kind === 'other' ? undefined : bytes,
})

const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1)

/**
 * One run's harvest: what it changed, read once and handed to the sink, the smallest first, until the limit is reached.
 */
class Harvest {
  readonly #options: CollectOptions
  readonly #stored = new Set<string>()
  readonly #before: ReadonlyMap<string, ManifestEntry>
  #keptFiles = 0
  keptBytes = 0

  constructor(options: CollectOptions) {
    this.#options = options
    this.#before = new Map(options.before.entries.map((entry) => [entry.path, entry]))
  }

  async take(entry: ManifestEntry, change: 'created' | 'modified' | 'deleted'): Promise<WorkspaceFile> {
    if (change === 'deleted') {
      await this.#keepPatch(entry.path, undefined)
      return toFile(entry, change, 'deleted')
    }
    const { workspace, limitBytes } = this.#options
    if (entry.kind !== 'file') {
      const target = entry.kind === 'link' ? await readLinkConfined(workspace, entry.path) : undefined
      if (target && toSha256(target) === entry.sha256) await this.#keepPatch(entry.path, { entry, bytes: target })
      return toFile(entry, change, 'not_a_file')
    }
    if (entry.size > limitBytes) return toFile(entry, change, 'too_large')
    if (!this.#hasRoom(entry.size)) return toFile(entry, change, 'over_limit')
    const bytes = await readConfined(workspace, entry.path, limitBytes)
    if (bytes === undefined || bytes === 'too_large') return toFile(entry, change, 'unreadable')
    const sha256 = toSha256(bytes)
    // The listing and the receipt speak of what was there when the run had ended.
    if (bytes.length !== entry.size || (entry.sha256 !== undefined && entry.sha256 !== sha256))
      return toFile(entry, change, 'unreadable')
    if (this.#options.holdsSecret?.(bytes) === true) return toFile({ ...entry, sha256 }, change, 'withheld')
    if (!this.#stored.has(sha256)) {
      await this.#options.sink.content(sha256, bytes)
      this.#stored.add(sha256)
      this.keptBytes += bytes.length
    }
    this.#keptFiles += 1
    // Of a created file the content says it all.
    if (change === 'modified') await this.#keepPatch(entry.path, { entry, bytes })
    return toFile({ ...entry, sha256 }, change, 'kept')
  }

  #hasRoom(bytes: number): boolean {
    const { limitBytes, signal } = this.#options
    return !signal.aborted && this.#keptFiles < KEPT_FILES && this.keptBytes + bytes <= limitBytes
  }

  async #keepPatch(
    path: string,
    after: { readonly entry: ManifestEntry; readonly bytes: Buffer } | undefined,
  ): Promise<void> {
    const old = this.#before.get(path)
    const before = old && toState(old, this.#options.contentsBefore?.read(path))
    const now = after && toState(after.entry, after.bytes)
    if (toOmission(path, before, now) !== undefined) return
    // In the patch of a file that is not text it would be deflated, and not seen.
    if (before?.bytes && this.#options.holdsSecret?.(before.bytes) === true) return
    const patch = toPatch(path, before, now)
    if (!this.#hasRoom(patch.length) || this.#options.holdsSecret?.(patch) === true) return
    await this.#options.sink.patch(path, patch)
    this.keptBytes += patch.length
  }
}

/** Reads what a run changed, after it, and lists the workspace. */
export async function collectFiles(options: CollectOptions): Promise<CollectedFiles> {
  const { before, after, changes } = options
  const kinds = new Map(changes.map(({ path, change }) => [path, change]))
  const entries = new Map(
    [...before.entries.filter(({ path }) => kinds.get(path) === 'deleted'), ...after.entries].map((entry) => [
      entry.path,
      entry,
    ]),
  )
  const harvest = new Harvest(options)
  const changed: WorkspaceFile[] = []
  for (const [index, { path, change }] of changes.toSorted((a, b) => (a.size ?? 0) - (b.size ?? 0)).entries()) {
    const entry = entries.get(path)
    if (entry) changed.push(await harvest.take(entry, change))
    if (index % 100 === 99) await nextTurn()
  }
  const unchanged = after.entries.filter(({ path }) => !kinds.has(path))
  const files = [
    ...changed.sort(byPath).slice(0, LISTED),
    ...unchanged
      .slice(0, UNCHANGED_LISTED)
      .map((entry) => toFile(entry, 'unchanged', entry.kind === 'file' ? 'unchanged' : 'not_a_file')),
  ]
  return {
    files,
    notListed: changed.length + unchanged.length - files.length,
    unchanged: unchanged.length,
    keptBytes: harvest.keptBytes,
  }
}
