/**
 * Folders that the user of the machine has admitted for one token, beside the operator's roots. They stand in the data
 * folder, a line each: an execution that was accepted for such a folder may start, or go on, after a restart. A later
 * line withdraws it, and so does whoever deletes the first, at once.
 */
import { randomUUID } from 'node:crypto'
import { appendFile, mkdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import * as z from 'zod'
import { sleep } from './abort-signals.js'
import type { Config } from './config.js'
import { sha256 } from './hash.js'

const FILE = 'admitted-folders'
const LIMIT = 1_000
/** With so many lines the file is written anew, without those that were withdrawn. */
const LINE_LIMIT = 10_000
/** Two processes may change the file at once; one that died meanwhile is not waited for any longer. */
const LOCK_STALE_MS = 30_000
const LOCK_POLL_MS = 20

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
  return alone(dataDir, async () => {
    const known = await listAdmitted(dataDir)
    const before = known.find(({ token, folder }) => token === entry.token && folder === entry.folder)
    if (before || known.length >= LIMIT) return before
    await append(dataDir, entry)
    return entry
  })
}

/** false: the token has none with this id. */
export async function withdrawAdmitted(dataDir: string, token: string, id: string): Promise<boolean> {
  return alone(dataDir, async () => {
    const known = (await listAdmitted(dataDir)).find((one) => one.token === token && admissionId(one) === id)
    if (!known) return false
    await append(dataDir, { token, folder: known.folder, withdrawnAt: new Date().toISOString() })
    return true
  })
}

const toText = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('')

async function append(dataDir: string, line: Line): Promise<void> {
  const path = join(dataDir, FILE)
  const lines = await readLines(dataDir)
  if (lines.length < LINE_LIMIT) return appendFile(path, toText([line]), { mode: 0o600 })
  const draft = `${path}.draft`
  await writeFile(draft, toText(toAdmitted([...lines, line])), { mode: 0o600 })
  await rename(draft, path)
}

/** One change of the file after the other, also of several processes; readers see it whole at any time. */
async function alone<Result>(dataDir: string, change: () => Promise<Result>): Promise<Result> {
  const lock = join(dataDir, `${FILE}.lock`)
  const until = performance.now() + 2 * LOCK_STALE_MS
  while (!(await take(lock))) {
    if (performance.now() > until) throw new Error(`${lock} stays taken; delete it where no service runs.`)
    await sleep(LOCK_POLL_MS)
  }
  try {
    return await change()
  } finally {
    await rmdir(lock).catch(() => undefined)
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await mkdir(lock)
    return true
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  const taken = await stat(lock).catch(() => undefined)
  if (taken && Date.now() - taken.mtimeMs > LOCK_STALE_MS) {
    // Under another name first, so that one that was taken meanwhile is not removed by two.
    const away = `${lock}.${randomUUID()}`
    await rename(lock, away).then(
      () => rmdir(away),
      () => undefined,
    )
  }
  return false
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
