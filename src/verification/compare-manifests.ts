import { createHash } from 'node:crypto'
import type { FileChange, ManifestSummary } from '../protocol/verification.js'
import type { Manifest, ManifestEntry } from './manifest.js'

/** Of what stands in a digest: neither times nor inodes, so that a copy of the folder has the same one. */
const describe = ({ path, kind, mode, size, sha256 = '-' }: ManifestEntry): string =>
  `${kind} ${mode.toString(8)} ${size} ${sha256} ${JSON.stringify(path)}\n`

export function summarizeManifest({ entries, hashedBytes, incomplete }: Manifest): ManifestSummary {
  const digest = createHash('sha256')
  for (const entry of entries) digest.update(describe(entry))
  return {
    digest: digest.digest('hex'),
    entries: entries.length,
    bytes: entries.reduce((sum, { size }) => sum + size, 0),
    hashedBytes,
    unhashed: entries.filter(({ kind, sha256 }) => kind === 'file' && sha256 === undefined).length,
    incomplete,
  }
}

/**
 * Where one of them was not read, size, mode and times decide: a file of that size that was touched counts as changed.
 */
function differs(before: ManifestEntry, after: ManifestEntry): boolean {
  if (before === after) return false
  if (before.kind !== after.kind || before.mode !== after.mode || before.size !== after.size) return true
  if (before.sha256 !== undefined && after.sha256 !== undefined) return before.sha256 !== after.sha256
  return before.ino !== after.ino || before.mtimeMs !== after.mtimeMs || before.ctimeMs !== after.ctimeMs
}

const toChange = ({ path, size, sha256 }: ManifestEntry, change: FileChange['change']): FileChange => ({
  path,
  change,
  size: change === 'deleted' ? undefined : size,
  sha256: change === 'deleted' ? undefined : sha256,
})

/** What is different afterwards, by path. */
export function compareManifests(before: Manifest, after: Manifest): FileChange[] {
  const changes: FileChange[] = []
  // Both are in the order of their paths.
  let position = 0
  for (const entry of after.entries) {
    let old = before.entries[position]
    for (; old && old.path < entry.path; old = before.entries[++position]) changes.push(toChange(old, 'deleted'))
    if (old?.path !== entry.path) {
      changes.push(toChange(entry, 'created'))
      continue
    }
    position += 1
    if (differs(old, entry)) changes.push(toChange(entry, 'modified'))
  }
  for (const old of before.entries.slice(position)) changes.push(toChange(old, 'deleted'))
  return changes
}
