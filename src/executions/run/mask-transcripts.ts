import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { readConfined, writeConfined } from '../../platform/confined-folder.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import type { RunServices } from '../claim/run-services.js'
import { CLAUDE_FOLDER } from '../workspaces/renew-home.js'
import type { PreparedRun } from './prepared-run.js'

/** A longer transcript, and further files of a session, are left as they are. */
const FILE_LIMIT_BYTES = 64 * 1024 * 1024
const FILES_LIMIT = 200

/** The files of a session: its transcript, and what lies in the folder of its name (subagents, long tool results). */
async function listFiles(projects: string, sessionId: string): Promise<string[]> {
  const found: string[] = []
  for (const project of await readdir(projects).catch((): string[] => [])) {
    const entries = await readdir(join(projects, project)).catch((): string[] => [])
    if (entries.includes(`${sessionId}.jsonl`)) found.push(join(project, `${sessionId}.jsonl`))
    const folder = join(project, sessionId)
    const below = entries.includes(sessionId)
      ? await readdir(join(projects, folder), { recursive: true }).catch((): string[] => [])
      : []
    found.push(...below.filter((name) => /\.(?:jsonl|json|txt)$/.test(name)).map((name) => join(folder, name)))
  }
  return found.slice(0, FILES_LIMIT)
}

/** Leases are renewed in between: so much is looked at without a pause. */
const PIECE_BYTES = 64 * 1024
const LINE_END = 0x0a

/** Whole lines, of at least PIECE_BYTES where there are so many; views of the same memory. */
function* toPieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_END, start + PIECE_BYTES)
    const next = end < 0 ? bytes.length : end + 1
    yield bytes.subarray(start, next)
    start = next
  }
}

/**
 * The same with its secrets masked, line by line; undefined where it holds none. A line is the least that can be masked
 * as JSON, and the CLI's lines are bounded by what it was given: between pieces everything else goes on.
 */
export async function maskLines(bytes: Buffer, mask: SecretMask): Promise<Buffer | undefined> {
  let isMasked = false
  const done: Buffer[] = []
  for (const piece of toPieces(bytes)) {
    const text = piece.toString()
    const holds = mask.holds(text)
    isMasked ||= holds
    done.push(holds ? Buffer.from(text.split('\n').map(mask.line).join('\n')) : piece)
    await setImmediate()
  }
  return isMasked ? joinPieces(done) : undefined
}

/** As Buffer.concat, which takes its time with 64 MiB. */
async function joinPieces(pieces: readonly Buffer[]): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    at += piece.copy(whole, at)
    await setImmediate()
  }
  return whole
}

async function maskFile(projects: string, path: string, mask: SecretMask): Promise<void> {
  const bytes = await readConfined(projects, path, FILE_LIMIT_BYTES)
  if (!Buffer.isBuffer(bytes)) return
  const masked = await maskLines(bytes, mask)
  if (masked) await writeConfined(projects, path, masked, { mode: 0o600, replaces: true })
}

/**
 * The CLI writes its transcript by itself, and the next run of the session reads it: what it holds of secrets is masked
 * there as well, once the run's processes are gone. Where that fails the run's end does not.
 */
export async function maskTranscripts(
  { logger }: Pick<RunServices, 'logger'>,
  { record, sessionId, folders, mask }: PreparedRun,
): Promise<void> {
  const projects = join(folders.home, CLAUDE_FOLDER, 'projects')
  try {
    for (const path of await listFiles(projects, sessionId)) await maskFile(projects, path, mask)
  } catch (error) {
    logger.warn({ executionId: record.id, err: error }, 'a transcript could not be masked')
  }
}
