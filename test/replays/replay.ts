// What a replay is made of, and how it is played: its manifest, what the scripted CLI prints for it, what must come of
// it.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import * as z from 'zod'
import { EVENT_TYPES, type Event } from '../../src/protocol/events.js'
import { ROOT } from '../support/paths.js'

const REPLAYS = join(ROOT, 'test/replays')

const Step = z.record(z.string(), z.unknown())

const Expected = z.strictObject({
  /**
   * A part of the execution as REST shows it. A text is looked for in the text, `/…/` is a pattern, null what is not
   * there.
   */
  execution: z.record(z.string(), z.unknown()),
  /** Parts of events that come in this order; others may come between them. */
  events: z.array(z.strictObject({ type: z.string(), data: z.record(z.string(), z.unknown()).optional() })).default([]),
  /** Kind run: texts that the system prompt of its request held; null: a text that it did not hold. */
  system: z.record(z.string(), z.literal(true).nullable()).default({}),
  /** How many events there are of a type. */
  counts: z.record(z.string(), z.int()).default({}),
  /** What stands in files of the workspace at the end; null: no such file. */
  files: z.record(z.string(), z.string().nullable()).default({}),
})

const Run = z.strictObject({
  /**
   * Fields of the request beside its prompt; `session.resume` and `session.fork` take the number of an earlier run of
   * the replay as `#0`.
   */
  request: z.record(z.string(), z.unknown()).default({}),
  /**
   * Kind transcript: what the CLI prints, as a file of lines or as steps of test/fixtures/scripted-cli.mjs. Kind run:
   * the simulator's script.
   */
  input: z.union([z.string(), z.array(Step)]),
  /**
   * Kind transcript: after its first `result` the CLI waits until this event was seen, and ends there if its standard
   * input has been closed by then.
   */
  holdUntil: z.enum(EVENT_TYPES).optional(),
  /** Kind transcript: how the CLI ends after its last line. */
  exit: z.union([z.int(), z.string()]).default(0),
  /** Only in `npm run test:all`: another one like it, which costs a start of the CLI. */
  all: z.boolean().default(false),
  expect: Expected,
})

const Manifest = z.strictObject({
  kind: z.enum(['transcript', 'run']),
  /** The version that the input was recorded with, or that broke. */
  cli: z.string().regex(/^\d+\.\d+\.\d+$/),
  /** Where the fault was reported in public. */
  source: z.string().optional(),
  /** What once came of it instead. */
  broke: z.string().optional(),
  runs: z.array(Run).min(1),
})

export type ReplayRun = z.infer<typeof Run>
export type Replay = z.infer<typeof Manifest> & { readonly name: string }

export function readReplays(): Replay[] {
  const folders = readdirSync(REPLAYS, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders
    .map(({ name }) => ({
      name,
      ...Manifest.parse(JSON.parse(readFileSync(join(REPLAYS, name, 'replay.json'), 'utf8'))),
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}

/**
 * What the scripted CLI does: it prints the lines with their pauses left out, waits for the end of its input and ends
 * as it did.
 */
export function toSteps(
  { name }: Replay,
  { input, holdUntil, exit }: ReplayRun,
  goOn: string,
): Array<Record<string, unknown>> {
  const end = typeof exit === 'string' ? [{ signal: exit }] : [{ eof: true }, { exit }]
  if (typeof input !== 'string') return [...input, ...end]
  const lines = readFileSync(resolve(REPLAYS, name, input), 'utf8').split(/(?<=\n)/)
  // Safe: every line of a transcript is an object with a type.
  const messages = lines.map((line) => JSON.parse(line) as { type: string; session_id?: string })
  const session = messages.find(({ session_id }) => session_id !== undefined)?.session_id
  const print = (some: readonly string[]): Record<string, unknown> => ({ recorded: some.join(''), session })
  if (holdUntil === undefined) return [print(lines), ...end]
  const first = messages.findIndex(({ type }) => type === 'result') + 1
  return [print(lines.slice(0, first)), { file: goOn }, { unlessEnded: true }, print(lines.slice(first)), ...end]
}

/** Expected values out of JSON: null is what is not there, `/…/` a pattern. */
export function toPattern(value: unknown): unknown {
  if (value === null) return undefined
  if (typeof value === 'string' && /^\/.+\/$/s.test(value)) return new RegExp(value.slice(1, -1))
  if (Array.isArray(value)) return value.map(toPattern)
  if (typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPattern(item)]))
}

/** Dollars are sums of floating point numbers. */
export const withoutNoise = <Value>(value: Value): Value =>
  JSON.parse(
    JSON.stringify(value, (_key, item: unknown) => (typeof item === 'number' ? Number(item.toPrecision(12)) : item)),
  )

/** As tap's `match`, without an assertion: each field of the pattern is there. */
export function isMatch(value: unknown, pattern: unknown): boolean {
  if (pattern instanceof RegExp) return typeof value === 'string' && pattern.test(value)
  if (typeof pattern === 'string') return typeof value === 'string' && value.includes(pattern)
  if (typeof pattern !== 'object' || pattern === null) return value === pattern
  // Safe: an index into whatever it is.
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(pattern).every(([key, item]) => isMatch((value as Record<string, unknown>)[key], item))
  )
}

/** Promises that hold for every execution: seqs without a gap, and no success with a tool call that has no end. */
export function findBrokenPromises(events: readonly Event[], status: string): string[] {
  const gaps = events.flatMap(({ seq }, index) => (seq === index + 1 ? [] : [`seq ${seq} at place ${index + 1}`]))
  // Safe: both types have it.
  const idsOf = (type: string): string[] =>
    events.filter((event) => event.type === type).map(({ data }) => (data as { toolUseId: string }).toolUseId)
  const finished = new Set(idsOf('tool.finished'))
  const open = status === 'succeeded' ? idsOf('tool.started').filter((id) => !finished.has(id)) : []
  return [...gaps, ...open.map((id) => `${id} began, and a success does not say how it ended`)]
}

/** Files that a manifest names, for a check that none of the folder is forgotten. */
export function listForgottenFiles(replay: Replay): string[] {
  const folder = join(REPLAYS, replay.name)
  const named = replay.runs.flatMap(({ input }) => (typeof input === 'string' ? [resolve(folder, input)] : []))
  const missing = named.filter((file) => !existsSync(file))
  const present = readdirSync(folder)
    .filter((file) => file !== 'replay.json')
    .map((file) => join(folder, file))
  return [...missing, ...present.filter((file) => !named.includes(file) || dirname(file) !== folder)]
}
