import { WorkspaceEvidence } from '../protocol/verification.js'
import { summarizeManifest } from './compare-manifests.js'
import { DEFAULT_LIMITS, type Manifest, type ManifestLimits } from './manifest.js'
import type { RawReceipt } from './receipt.js'
import type { Finding } from './finding.js'
import type { Mismatch } from './finding.js'

/** How the manifests of a receipt were taken, so that one of now can be compared; undefined where it has none. */
export function limitsOf(raw: RawReceipt): ManifestLimits | undefined {
  const files = WorkspaceEvidence.safeParse(raw['files'])
  return files.success
    ? {
        ...DEFAULT_LIMITS,
        ignored: files.data.ignored,
        maxFileBytes: Math.min(files.data.hashLimitBytes, DEFAULT_LIMITS.maxFileBytes),
      }
    : undefined
}

/** The workspace is as it was when the run had ended; what the run changed is named where it differs. */
export function checkFiles(raw: RawReceipt, workspace: Manifest | undefined): Finding {
  const name = 'files'
  if (workspace === undefined) return { name, mismatches: [], skipped: true, detail: 'No workspace was given.' }
  const claimed = WorkspaceEvidence.safeParse(raw['files'])
  if (!claimed.success)
    return {
      name,
      mismatches: [{ name, detail: 'the receipt has no file data to compare the workspace with' }],
      detail: '',
    }
  const { after, changes } = claimed.data
  const found = summarizeManifest(workspace)
  if (found.digest === after.digest)
    return {
      name,
      mismatches: [],
      detail: `All ${found.entries} entries of the workspace are as they were after the run.`,
    }
  const present = new Map(workspace.entries.map((entry) => [entry.path, entry]))
  const mismatches = changes.flatMap(({ path, change, size, sha256 }): Mismatch[] => {
    const entry = present.get(path)
    if (change === 'deleted')
      return entry ? [{ name: `files.${path}`, detail: 'was deleted by the run and exists again' }] : []
    if (!entry) return [{ name: `files.${path}`, detail: 'was written by the run and is missing' }]
    return entry.sha256 === sha256 && entry.size === size
      ? []
      : [{ name: `files.${path}`, detail: 'differs from what the run left' }]
  })
  const rest = {
    name: 'files.after.digest',
    detail:
      `the workspace differs from its state after the run: ${found.entries} entries instead of ` +
      `${after.entries}, or others`,
  }
  return { name, mismatches: mismatches.length > 0 ? mismatches : [rest], detail: '' }
}
