import type { BackgroundTask } from '../protocol/events.js'
import { NO_USAGE, type PermissionDenial, type Usage } from '../protocol/execution.js'
import { toCount, toDollars, toRecord, toRecords, toText } from './json-shape.js'

/** Up to here an answer's text is kept beside the log, for the outcome of a run that does not finish. */
export const PARTIAL_TEXT_LIMIT = 8 * 1024 * 1024

const SESSIONS_KEPT = 10

export interface ClaudeResult {
  readonly subtype: string
  readonly isError: boolean
  readonly text?: string
  /** HTTP status of the API's error; null where the CLI does not name one. */
  readonly apiStatus?: number | null
  readonly numTurns: number
  readonly terminalReason?: string
  readonly errors?: readonly string[]
  readonly structuredOutput?: unknown
  /** The line as it came; empty where it was too long to be kept. */
  readonly raw: string
}

/** What has been heard from the CLI so far. The translator writes it, the runner reads it. */
export interface Observation {
  /** How many `result` lines have come; a run may give more than one, the last one counts. */
  results: number
  lastResult?: ClaudeResult
  /** Whether something of a further turn has come since the last `result` (a background task that ended starts one). */
  turnActive: boolean
  /** All results together. `durationMs` is the CLI's own measure. */
  usage: Usage
  sessionId?: string
  model?: string
  permissionMode?: string
  workspace?: string
  /** Tool calls without a result: during one, silence is no sign of a hang. */
  openToolCalls: number
  /** Calls that have not come back: those that are open, and those of the conversation that its last `result` left open. */
  unansweredCalls: readonly { readonly id: string; readonly description: string; readonly ofSubagent?: object | undefined }[]
  /** Background tasks that go on now; background-tasks.ts writes them. */
  liveTasks: readonly BackgroundTask[]
  /** Background tasks that have ended. */
  tasksEnded: number
  /** Of the last `result`; stop-reasons.ts writes it. */
  stopReason?: string
  /** `result` lines that were numbered and never came. */
  lostResults: number
  nextResultIndex: number
  toolsUsed: number
  /** Session ids that stood in messages, up to {@link SESSIONS_KEPT}; one, unless something is wrong. */
  readonly sessionsSeen: string[]
  toolResults: number
  /** Results whose call was not in the stream. */
  unrecordedResults: number
  /** Lines that were too long to be parsed: what they said is not known. */
  unreadLines: number
  /** Messages of the assistant in the main conversation. */
  turns: number
  readonly denials: PermissionDenial[]
  /** JSON mode: what was last handed to the StructuredOutput tool, accepted or not. */
  structuredAttempt?: unknown
  /** The text of the last message so far, up to {@link PARTIAL_TEXT_LIMIT}; never an error report of the CLI. */
  partialText: string
  /** Why the API refused, as the CLI's last error report names it (`rate_limit`, `authentication_failed`, …). */
  apiError?: string
  /** A refusal by the subscription's limits; `resetsAt` in seconds since 1970. */
  rateLimit?: { readonly resetsAt?: number; readonly type?: string }
  /** Running sums for progress; replaced by the exact ones at each `result`. */
  tokensSoFar: { inputTokens: number; outputTokens: number; cacheCreationTokens: number }
}

export function createObservation(): Observation {
  return {
    results: 0,
    turnActive: false,
    usage: { ...NO_USAGE },
    openToolCalls: 0,
    unansweredCalls: [],
    liveTasks: [],
    tasksEnded: 0,
    lostResults: 0,
    nextResultIndex: 0,
    toolsUsed: 0,
    sessionsSeen: [],
    toolResults: 0,
    unrecordedResults: 0,
    unreadLines: 0,
    turns: 0,
    denials: [],
    partialText: '',
    tokensSoFar: { inputTokens: 0, outputTokens: 0, cacheCreationTokens: 0 },
  }
}

export function observeInit(observation: Observation, message: Record<string, unknown>): void {
  const set = (key: 'sessionId' | 'model' | 'permissionMode' | 'workspace', value: unknown) => {
    if (typeof value === 'string') observation[key] = value
  }
  set('sessionId', message['session_id'])
  set('model', message['model'])
  set('permissionMode', message['permissionMode'])
  set('workspace', message['cwd'])
}

export function observeSession({ sessionsSeen }: Observation, message: Record<string, unknown>): void {
  const id = message['session_id']
  if (typeof id === 'string' && !sessionsSeen.includes(id) && sessionsSeen.length < SESSIONS_KEPT) sessionsSeen.push(id)
}

export function observeRateLimit(observation: Observation, message: Record<string, unknown>): void {
  const info = toRecord(message['rate_limit_info'])
  if (info?.['status'] !== 'rejected') {
    delete observation.rateLimit // a warning, or allowed again
    return
  }
  const type = toText(info['rateLimitType'])
  const { resetsAt } = info
  const isTime = typeof resetsAt === 'number' && !Number.isNaN(new Date(resetsAt * 1_000).getTime())
  observation.rateLimit = { ...(isTime && { resetsAt }), ...(type !== undefined && { type }) }
}

export function observeResult(observation: Observation, message: Record<string, unknown>, raw: string): void {
  const text = toText(message['result'])
  const apiStatus = message['api_error_status']
  const terminalReason = toText(message['terminal_reason'])
  const errors = Array.isArray(message['errors']) ? message['errors'].filter((error): error is string => typeof error === 'string') : undefined
  observation.results += 1
  observation.turnActive = false
  observation.lastResult = {
    subtype: toText(message['subtype']) ?? '',
    // Anything but a plain `false` is an error: success must be said.
    isError: message['is_error'] !== false,
    numTurns: toCount(message['num_turns']),
    raw,
    ...(text !== undefined && { text }),
    ...((typeof apiStatus === 'number' || apiStatus === null) && { apiStatus }),
    ...(terminalReason !== undefined && { terminalReason }),
    ...(errors !== undefined && { errors }),
    ...(message['structured_output'] !== undefined && { structuredOutput: message['structured_output'] }),
  }
  addUsage(observation, message)
}

/** `usage` and `num_turns` are those of one turn, `modelUsage` and the cost add up within the process (measured). */
function addUsage(observation: Observation, message: Record<string, unknown>): void {
  const before = observation.usage
  const added = toRecord(message['usage']) ?? {}
  const models = toRecords(Object.values(toRecord(message['modelUsage']) ?? {}))
  const total = (field: string) => models.reduce((sum, model) => sum + toCount(model[field]), 0)
  // The larger one: `usage` stays at zero after a cut stream or a spent budget and leaves out subagents, where modelUsage is right.
  const sum = (earlier: number, field: string, ofAllModels: string) => Math.max(earlier + toCount(added[field]), total(ofAllModels))
  observation.usage = {
    inputTokens: sum(before.inputTokens, 'input_tokens', 'inputTokens'),
    outputTokens: sum(before.outputTokens, 'output_tokens', 'outputTokens'),
    cacheReadTokens: sum(before.cacheReadTokens, 'cache_read_input_tokens', 'cacheReadInputTokens'),
    cacheCreationTokens: sum(before.cacheCreationTokens, 'cache_creation_input_tokens', 'cacheCreationInputTokens'),
    costUsd: typeof message['total_cost_usd'] === 'number' ? toDollars(message['total_cost_usd']) : before.costUsd,
    turns: before.turns + toCount(message['num_turns']),
    durationMs: before.durationMs + toCount(message['duration_ms']),
  }
  const { inputTokens, outputTokens, cacheCreationTokens } = observation.usage
  observation.tokensSoFar = { inputTokens, outputTokens, cacheCreationTokens }
}

/** A `result` that was too long to be parsed still ends its turn, and says at its beginning how. */
export function observeOversized(observation: Observation, head: string): void {
  const fields = /^\{"type":"result","subtype":"(\w+)"/.exec(head)
  if (fields === null) return
  observeResult(observation, { subtype: fields[1], is_error: !/^[^{]*"is_error":false/.test(head.slice(1)) }, '')
}
