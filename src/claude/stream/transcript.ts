import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { toDollars, toRecord, toRecords, toText } from '../json-shape.js'
import { type ModelSums, toModelSums } from './usage-account.js'

/** What the CLI knows of a session when it resumes it: `<config folder>/projects/<folder>/<session id>.jsonl`. */
export interface Transcript {
  /** Ids of the tool calls whose result is in it. */
  readonly toolResults: ReadonlySet<string>
  /** Ids of the model's messages, in order. */
  readonly answers: ReadonlySet<string>
  /** Ids of the user's lines in it, those included that joined a turn. */
  readonly lines: ReadonlySet<string>
  /** Whether anything was said in it, by whomever: the CLI finds no conversation otherwise. */
  readonly hasMessage: boolean
  /**
   * What the session has used so far, as a newer CLI saves it; it goes on from there when it resumes or forks the
   * session.
   */
  readonly sums?: ModelSums
}

/** How far a session had come when an execution began to go on with it: what is beyond that is the execution's own. */
export interface TranscriptMark {
  readonly answers: number
  readonly toolResults: number
}

async function findTranscript(configDir: string, sessionId: string): Promise<string | undefined> {
  const projects = join(configDir, 'projects')
  const folders = await readdir(projects, { withFileTypes: true }).catch(() => [])
  for (const entry of folders) {
    // It is the run's own, and a link could lead the worker elsewhere.
    if (!entry.isDirectory()) continue
    const folder = entry.name
    const files = await readdir(join(projects, folder)).catch((): string[] => [])
    if (files.includes(`${sessionId}.jsonl`)) return join(projects, folder, `${sessionId}.jsonl`)
  }
  return undefined
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return toRecord(JSON.parse(line))
  } catch {
    // The last line of a CLI that was killed may be half written.
    return undefined
  }
}

/**
 * The folder is the run's own: a fifo that it has left there would be waited for until its end of time, a device read
 * for ever.
 */
async function openFile(path: string): Promise<FileHandle | undefined> {
  const file = await open(
    path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
  ).catch(() => undefined)
  if (!file || (await file.stat()).isFile()) return file
  await file.close()
  return undefined
}

function toSums(entry: Readonly<Record<string, unknown>>): ModelSums | undefined {
  const models = toModelSums(entry['modelUsage'])
  return models && { ...models, costUsd: toDollars(entry['totalCostUSD']) }
}

/** Reads a session's transcript; undefined where there is none on this host. */
export async function readTranscript(configDir: string, sessionId: string): Promise<Transcript | undefined> {
  const path = await findTranscript(configDir, sessionId)
  const file = path === undefined ? undefined : await openFile(path)
  if (!file) return undefined
  const toolResults = new Set<string>()
  const answers = new Set<string>()
  const lines = new Set<string>()
  let hasMessage = false
  let sums: ModelSums | undefined
  // It closes the file at its end.
  for await (const line of file.readLines()) {
    const entry = parse(line)
    const message = toRecord(entry?.['message'])
    if (entry?.['type'] === 'assistant' && message?.['model'] !== '<synthetic>')
      answers.add(toText(entry['uuid']) ?? String(answers.size))
    if (entry?.['type'] === 'cost-state') sums = toSums(entry) ?? sums
    const uuid = toText(entry?.['type'] === 'user' ? entry['uuid'] : toRecord(entry?.['attachment'])?.['source_uuid'])
    if (uuid !== undefined) lines.add(uuid)
    if (entry?.['type'] !== 'user') continue
    hasMessage = true
    for (const block of toRecords(message?.['content'])) {
      const id = block['type'] === 'tool_result' ? toText(block['tool_use_id']) : undefined
      if (id !== undefined) toolResults.add(id)
    }
  }
  return { toolResults, answers, lines, hasMessage, sums }
}
