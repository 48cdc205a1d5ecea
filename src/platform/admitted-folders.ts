/**
 * Folders that the user of the machine has admitted for one token, beside the operator's roots. They stand in the data
 * folder, a line each: an execution that was accepted for such a folder may start, or go on, after a restart. A later
 * line withdraws it, and so does whoever deletes the first, at once.
 */
import { appendFile, readFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import * as z from 'zod'
import type { Config } from './config.js'
import { sha256 } from './hash.js'

const FILE = 'admitted-folders'
const LIMIT = 1_000
/** Of all lines: those that were withdrawn stay in the file, to which two processes may write at once. */
const LINE_LIMIT = 10_000

const Admitted = z.object({ token: z.string(), folder: z.string(), admittedAt: z.string() })
export type AdmittedFolder = z.infer<typeof Admitted>
const Line = z.union([Admitted, z.object({ token: z.string(), folder: z.string(), withdrawnAt: z.string() })])
type Line = z.infer<typeof Line>

/** The same for the same token and folder. */
export const admissionId = ({ token, folder }: Pick<AdmittedFolder, 'token' | 'folder'>): string =>
  sha256(JSON.stringify([token, folder])).slice(0, 32)

/** A line that is none admits nothing. */
function readLine(line: string): Line[] {
  try {
    return [Line.parse(JSON.parse(line))]
  } catch {
    return []
  }
}

/** What holds after all lines; the oldest first. */
function toAdmitted(lines: readonly Line[]): AdmittedFolder[] {
  const admitted = new Map<string, AdmittedFolder>()
  for (const line of lines) {
    const id = admissionId(line)
    if ('withdrawnAt' in line) admitted.delete(id)
    else if (!admitted.has(id)) admitted.set(id, line)
  }
  return [...admitted.values()]
}

export const listAdmitted = async (dataDir: string): Promise<AdmittedFolder[]> => toAdmitted(await readLines(dataDir))

async function readLines(dataDir: string): Promise<Line[]> {
  const text = await readFile(join(dataDir, FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap(readLine)
}

/** Gives the entry that is there already, or the new one; undefined where the file is full. */
export async function addAdmitted(dataDir: string, entry: AdmittedFolder): Promise<AdmittedFolder | undefined> {
  const lines = await readLines(dataDir)
  const known = toAdmitted(lines)
  const before = known.find(({ token, folder }) => token === entry.token && folder === entry.folder)
  if (before || known.length >= LIMIT || lines.length >= LINE_LIMIT) return before
  await append(dataDir, entry)
  return entry
}

/** false: the token has none with this id. */
export async function withdrawAdmitted(dataDir: string, token: string, id: string): Promise<boolean> {
  const known = (await listAdmitted(dataDir)).find((one) => one.token === token && admissionId(one) === id)
  if (!known) return false
  await append(dataDir, { token, folder: known.folder, withdrawnAt: new Date().toISOString() })
  return true
}

/** One write at the end of the file: two processes do not mix their lines. */
const append = (dataDir: string, line: Line): Promise<void> =>
  appendFile(join(dataDir, FILE), `${JSON.stringify(line)}\n`, { mode: 0o600 })

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
