/**
 * Folders that the user of the machine has admitted for one token, beside the operator's roots. They stand in the data
 * folder, a line each: an execution that was accepted for such a folder may start, or go on, after a restart. Whoever
 * deletes the line withdraws it, at once.
 */
import { appendFile, readFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import type { Config } from './config.js'

const FILE = 'admitted-folders'
const LIMIT = 1_000

const Admitted = z.object({ token: z.string(), folder: z.string(), admittedAt: z.string() })
export type AdmittedFolder = z.infer<typeof Admitted>

/** A line that is none admits nothing. */
function readLine(line: string): AdmittedFolder[] {
  try {
    return [Admitted.parse(JSON.parse(line))]
  } catch {
    return []
  }
}

export async function listAdmitted(dataDir: string): Promise<AdmittedFolder[]> {
  const text = await readFile(join(dataDir, FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap(readLine)
}

/** Gives the entry that is there already, or the new one; undefined where the file is full. */
export async function addAdmitted(dataDir: string, entry: AdmittedFolder): Promise<AdmittedFolder | undefined> {
  const known = await listAdmitted(dataDir)
  const before = known.find(({ token, folder }) => token === entry.token && folder === entry.folder)
  if (before || known.length >= LIMIT) return before
  // One write at the end of the file: two processes do not mix their lines.
  await appendFile(join(dataDir, FILE), `${JSON.stringify(entry)}\n`, { mode: 0o600 })
  return entry
}

/** The settings by which a token's workspace is judged: with what was admitted for it, where that counts. */
export async function withAdmitted<Settings extends Pick<Config, 'dataDir' | 'allowHere'>>(
  settings: Settings,
  token: string,
  workspace: string | undefined,
): Promise<Settings & { readonly admittedFolders: readonly string[] }> {
  const isWanted = settings.allowHere && workspace !== undefined && isAbsolute(workspace)
  const admitted = isWanted ? await listAdmitted(settings.dataDir) : []
  return { ...settings, admittedFolders: admitted.filter((one) => one.token === token).map(({ folder }) => folder) }
}
