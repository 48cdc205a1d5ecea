/**
 * The script language: its words (types), how a prompt brings a script, and what is said about a bad one.
 * README.md has it for readers; replies.ts cuts a script into replies.
 */
import { isRecord, type JsonObject } from './json.js'

export interface TextStep {
  readonly text: string
  readonly chunks?: number
  readonly chunkBytes?: number
  readonly delayMs?: number
}
export interface RepeatTextStep {
  readonly repeatText: string
  readonly bytes: number
  readonly chunkBytes?: number
  readonly delayMs?: number
}
export interface ThinkingStep {
  readonly thinking: string
}
export interface ToolStep {
  readonly tool: string
  readonly input: JsonObject
}
export interface StructuredStep {
  readonly structured: JsonObject
}
export interface TurnStep {
  readonly turn: true
}
export interface DelayStep {
  readonly delayMs: number
}
export interface HangStep {
  readonly hangMs: number
}
export interface StopStep {
  readonly stop: StopReason
}
export interface UsageStep {
  readonly usage: ScriptedUsage
}
export interface CutStep {
  readonly cut: true | 'eof'
  readonly times?: Times
}
export interface StatusStep {
  readonly status: FailureStatus
  readonly message?: string
  /** Seconds, sent as the header `retry-after`. */
  readonly retryAfter?: number
  /** Seconds since 1970: until then every request fails, and headers tell it as of a subscription's limit. */
  readonly resetsAt?: number
  /** With 400: every request of an older CLI fails, and one of this version or newer passes. */
  readonly minimumVersion?: string
  /** Only requests fail whose key or token ends with it, as those of one account at its limit. */
  readonly credential?: string
  readonly times?: Times
}

export type Step =
  | TextStep
  | RepeatTextStep
  | ThinkingStep
  | ToolStep
  | StructuredStep
  | TurnStep
  | DelayStep
  | HangStep
  | StopStep
  | UsageStep
  | CutStep
  | StatusStep
export type Script = readonly Step[]

export type StopReason = 'max_tokens' | 'refusal'
export type FailureStatus = 400 | 401 | 403 | 404 | 429 | 500 | 529
/** How many requests meet the failure before the reply gets past it. */
export type Times = number | 'always'
export interface ScriptedUsage {
  readonly inputTokens?: number
  readonly outputTokens?: number
  readonly cacheReadInputTokens?: number
  readonly cacheCreationInputTokens?: number
}

/** What a bad script is answered with: the message names the step and what was expected. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError'
}

// An answer is held in memory once; a script must not be able to ask for more than that can bear.
const MAX_REPEAT_BYTES = 64 * 1024 * 1024
// Node fires a longer timer at once instead of later.
const MAX_WAIT_MS = 2 ** 31 - 1
const OPENING = /^[ \t]*```simulate[ \t]*\r?\n/m
const CLOSING = /^[ \t]*```[ \t]*$/m

export function bringsScript(text: string): boolean {
  return OPENING.test(text)
}

/**
 * The script which a prompt brings in its first fenced block of the language `simulate`; undefined when there is none.
 * @throws ScriptError when there is a block, but no valid script in it
 */
export function findScript(prompt: string): Script | undefined {
  const opening = OPENING.exec(prompt)
  if (opening === null) return undefined
  const rest = prompt.slice(opening.index + opening[0].length)
  const closing = CLOSING.exec(rest)
  if (closing === null) throw new ScriptError('the block is not closed: a line of ``` is missing')
  let value: unknown
  try {
    value = JSON.parse(rest.slice(0, closing.index))
  } catch (error) {
    throw new ScriptError(`it is not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return decodeScript(value)
}

export function decodeScript(value: unknown): Script {
  if (!Array.isArray(value)) throw new ScriptError('it must be an array of steps')
  return value.map((step: unknown, index) => {
    assertStep(step, index + 1)
    return step
  })
}

type Check = { readonly expected: string; readonly test: (value: unknown) => boolean }

const isText: Check = { expected: 'a string', test: (value) => typeof value === 'string' }
const isName: Check = { expected: 'a non-empty string', test: (value) => typeof value === 'string' && value !== '' }
const isObject: Check = { expected: 'an object', test: isRecord }
const isTrue: Check = { expected: 'true', test: (value) => value === true }
const isVersion: Check = {
  expected: 'a version such as "2.1.332"',
  test: (value) => typeof value === 'string' && /^\d+\.\d+\.\d+$/.test(value),
}
const isCount = integer(0, Number.MAX_SAFE_INTEGER)
const isPositive = integer(1, Number.MAX_SAFE_INTEGER)
const isWait = integer(0, MAX_WAIT_MS)
const isTimes: Check = {
  expected: 'a positive integer or "always"',
  test: (value) => value === 'always' || isPositive.test(value),
}
const USAGE_KEYS = ['inputTokens', 'outputTokens', 'cacheReadInputTokens', 'cacheCreationInputTokens']
const isUsage: Check = {
  expected: `an object of token counts (${USAGE_KEYS.join(', ')})`,
  test: (value) =>
    isRecord(value) && Object.entries(value).every(([key, count]) => USAGE_KEYS.includes(key) && isCount.test(count)),
}

/**
 * Every kind of step is told by the first of these keys that it has; `delayMs` is last, since text steps have it too.
 */
const STEPS: Readonly<
  Record<string, { readonly required: Record<string, Check>; readonly optional?: Record<string, Check> }>
> = {
  text: { required: { text: isText }, optional: { chunks: isPositive, chunkBytes: isPositive, delayMs: isWait } },
  repeatText: {
    required: { repeatText: isName, bytes: integer(1, MAX_REPEAT_BYTES) },
    optional: { chunkBytes: isPositive, delayMs: isWait },
  },
  thinking: { required: { thinking: isText } },
  tool: { required: { tool: isName, input: isObject } },
  structured: { required: { structured: isObject } },
  turn: { required: { turn: isTrue } },
  status: {
    required: { status: oneOf(400, 401, 403, 404, 429, 500, 529) },
    optional: {
      message: isText,
      retryAfter: isCount,
      resetsAt: isCount,
      minimumVersion: isVersion,
      credential: isName,
      times: isTimes,
    },
  },
  cut: { required: { cut: oneOf(true, 'eof') }, optional: { times: isTimes } },
  hangMs: { required: { hangMs: isWait } },
  stop: { required: { stop: oneOf('max_tokens', 'refusal') } },
  usage: { required: { usage: isUsage } },
  delayMs: { required: { delayMs: isWait } },
}

// The checks of the table are the type Step, key by key; the compiler cannot follow a table.
function assertStep(step: unknown, number: number): asserts step is Step {
  if (!isRecord(step)) throw new ScriptError(`step ${number} must be an object`)
  const kind = Object.keys(STEPS).find((key) => Object.hasOwn(step, key))
  const shape = kind === undefined ? undefined : STEPS[kind]
  if (kind === undefined || shape === undefined) {
    throw new ScriptError(`step ${number} is of no known kind (${Object.keys(STEPS).join(', ')})`)
  }
  const allowed = { ...shape.required, ...shape.optional }
  for (const [key, check] of Object.entries(allowed)) {
    const value = step[key]
    if (value === undefined && !Object.hasOwn(shape.required, key)) continue
    if (!check.test(value)) throw new ScriptError(`step ${number} (${kind}): "${key}" must be ${check.expected}`)
  }
  if (step['minimumVersion'] !== undefined && step['status'] !== 400)
    throw new ScriptError(`step ${number} (${kind}): "minimumVersion" goes with the status 400 only`)
  const unknown = Object.keys(step).find((key) => !Object.hasOwn(allowed, key))
  if (unknown !== undefined) throw new ScriptError(`step ${number} (${kind}) knows no "${unknown}"`)
  if (step['chunks'] !== undefined && step['chunkBytes'] !== undefined) {
    throw new ScriptError(`step ${number} (${kind}): "chunks" and "chunkBytes" exclude each other`)
  }
}

function integer(min: number, max: number): Check {
  return {
    expected: `an integer from ${min} to ${max}`,
    test: (value) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
  }
}

function oneOf(...values: readonly unknown[]): Check {
  return {
    expected: `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`,
    test: (value) => values.includes(value),
  }
}
