import { sha256Bytes } from '../platform/hash.js'
import type { EstimateLevel } from '../protocol/estimate.js'

export type KnownLevel = Exclude<EstimateLevel, 'none'>
/** From the closest to the widest. */
export const LEVELS: readonly KnownLevel[] = ['prompt', 'opening', 'model', 'all']

/** What a run is known by. */
export interface RunTraits {
  /** Nobody learns from the runs of others: that would tell what they run. */
  readonly owner: string
  readonly prompt: string
  readonly model: string | undefined
  readonly effort: string | undefined
  /** A named workspace; fresh ones are all alike. */
  readonly workspace: string | undefined
  /** Of a task list; 1 for a run. */
  readonly tasks: number
}

/** As many words of a prompt are its opening. */
const OPENING_WORDS = 8

/** Prompts of one template are alike: numbers, ids, case and white space do not count. */
export const normalizePrompt = (prompt: string): string =>
  prompt
    .toLowerCase()
    // One that looked ahead for the digit would look through all of a long line again and again.
    .replace(/\b[0-9a-f-]{7,}\b/g, (word) => (/\d/.test(word) ? '#' : word))
    .replace(/\d+/g, '#')
    .replace(/\s+/g, ' ')
    .trim()

const digest = (...parts: ReadonlyArray<string | number>): string =>
  sha256Bytes(JSON.stringify(parts)).toString('base64url').slice(0, 22)

/** A name for each level, in the order of LEVELS: runs with the same name teach each other. */
export function fingerprintsOf({ owner, prompt, model = '', effort = '', workspace = '', tasks }: RunTraits): string[] {
  const normal = normalizePrompt(prompt)
  const opening = normal.split(' ', OPENING_WORDS).join(' ')
  const traits: Record<KnownLevel, ReadonlyArray<string | number>> = {
    prompt: [normal, model, effort, workspace, tasks],
    opening: [opening, model, effort, tasks],
    model: [model, effort],
    all: [],
  }
  return LEVELS.map((level) => digest(level, owner, ...traits[level]))
}
