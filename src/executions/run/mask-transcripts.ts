import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfined, writeConfined } from '../../platform/confined-folder.js'
import type { SecretMask } from '../../platform/secret-mask.js'
import type { RunServices } from '../claim/run-services.js'
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

async function maskFile(projects: string, path: string, mask: SecretMask): Promise<void> {
  const bytes = await readConfined(projects, path, FILE_LIMIT_BYTES)
  if (!Buffer.isBuffer(bytes)) return
  const text = bytes.toString()
  if (!mask.holds(text)) return
  const masked = text.split('\n').map(mask.line).join('\n')
  await writeConfined(projects, path, Buffer.from(masked), { mode: 0o600, replaces: true })
}

/**
 * The CLI writes its transcript by itself, and the next run of the session reads it: what it holds of secrets is masked
 * there as well, once the run's processes are gone. Where that fails the run's end does not.
 */
export async function maskTranscripts(
  { credentials, logger }: Pick<RunServices, 'credentials' | 'logger'>,
  { record, sessionId, folders, mask, reach }: PreparedRun,
): Promise<void> {
  const own = join(folders.home, '.claude')
  const projects = join(reach.level === 'locked' ? own : (credentials.configDir ?? own), 'projects')
  try {
    for (const path of await listFiles(projects, sessionId)) await maskFile(projects, path, mask)
  } catch (error) {
    logger.warn({ executionId: record.id, error: String(error) }, 'a transcript could not be masked')
  }
}
