import type { BackgroundTask } from '../../protocol/events.js'
import { NO_USAGE, type PermissionDenial, type Usage } from '../../protocol/execution.js'
import { toCount, toRecord, toText } from '../json-shape.js'
import { createNotices, noteCredential, noteLimits, type Notices } from './notices.js'
import { createUsageAccount, type ModelSums, type TokenSums, type UsageAccount } from './usage-account.js'

/** Up to here an answer's text is kept beside the log, for the outcome of a run that does not finish. */
export const PARTIAL_TEXT_LIMIT = 8 * 1024 * 1024

const SESSIONS_KEPT = 10
/** Further ones are events and are counted. */
export const DENIALS_KEPT = 200

/** What the attempts before this one have met and the end of the execution must not conceal. */
export interface Earlier {
  readonly denials: readonly PermissionDenial[]
  readonly denialCount: number
  /** Sentences. */
  readonly notices: readonly string[]
}

export const NOTHING_EARLIER: Earlier = { denials: [], denialCount: 0, notices: [] }

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
  /** It was in a line that was too long to be parsed: the answer is known as far as it was streamed. */
  readonly isCut?: boolean
  /** The budget was used up with an answer that is whole. */
  readonly isWholeAtLimit?: boolean
  /** Why the CLI refused to start. */
  readonly startupFailure?: string
  /** The line as it came; empty where it was too long to be kept. */
  readonly raw: string
}

/** A message of the main conversation, as the stream shows it. */
export interface Reply {
  readonly id: string | undefined
  /** Begun, and not ended. */
  isOpen: boolean
  stopReason?: string
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
  /**
   * Calls that have not come back: those that are open, and those of the conversation that its last `result` left open.
   */
  unansweredCalls: readonly {
    readonly id: string
    readonly description: string
    readonly ofSubagent?: object | undefined
  }[]
  /** Background tasks that go on now; background-tasks.ts writes them. */
  liveTasks: readonly BackgroundTask[]
  /** Background tasks that have ended. */
  tasksEnded: number
  /** Of the last `result`; stop-reasons.ts writes it. */
  stopReason?: string
  /** What a hook of Claude's said that refused the prompt; hook-answers.ts writes it. */
  promptRefusal?: string
  /** The hook that told Claude to stop, and why. */
  hookStop?: string
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
  /** The last one of this turn. */
  reply?: Reply
  /** Up to {@link DENIALS_KEPT}. */
  readonly denials: PermissionDenial[]
  /** The person who denied a call, by its id, and how many of all denials are people's. */
  readonly deniedBy: Map<string, string>
  deniedByPeople: number
  /** All of them. */
  denialCount: number
  /** JSON mode: what was last handed to the StructuredOutput tool, accepted or not. */
  structuredAttempt?: unknown
  /** The text of the last message so far, up to {@link PARTIAL_TEXT_LIMIT}; never an error report of the CLI. */
  partialText: string
  /** Why the API refused, as the CLI's last error report names it (`rate_limit`, `authentication_failed`, …). */
  apiError?: string
  /** A refusal by the subscription's limits; `resetsAt` in seconds since 1970. */
  rateLimit?: { readonly resetsAt?: number; readonly type?: string }
  /** What is told while the run goes on, subagents included; replaced by the exact sums at each `result`. */
  tokensSoFar: TokenSums
  readonly account: UsageAccount
  /** The CLI has given its sums in the middle of a turn, and nothing has come since. */
  isSummed?: boolean
  readonly notices: Notices
}

/** `sessionSums`: what a session had used when it was taken up, as the CLI saved it. */
export function createObservation(sessionSums?: ModelSums, earlier = NOTHING_EARLIER): Observation {
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
    denials: [...earlier.denials],
    deniedBy: new Map(),
    deniedByPeople: earlier.denials.filter(({ by }) => by !== undefined).length,
    denialCount: earlier.denialCount,
    partialText: '',
    tokensSoFar: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 },
    account: createUsageAccount(sessionSums),
    notices: createNotices(earlier.notices),
  }
}

export function observeLine(observation: Observation, line: Readonly<Record<string, unknown>>): void {
  observation.isSummed = false
  observation.account.noteLine(line)
  updateTokens(observation)
}

/** After its account has changed. */
export function updateTokens(observation: Observation): void {
  const { settled, open } = observation.account
  observation.tokensSoFar = {
    inputTokens: settled.inputTokens + open.inputTokens,
    outputTokens: settled.outputTokens + open.outputTokens,
    cacheReadTokens: settled.cacheReadTokens + open.cacheReadTokens,
    cacheCreationTokens: settled.cacheCreationTokens + open.cacheCreationTokens,
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

export function observeSession({ sessionsSeen }: Observation, message: Readonly<Record<string, unknown>>): void {
  const id = message['session_id']
  if (typeof id === 'string' && !sessionsSeen.includes(id) && sessionsSeen.length < SESSIONS_KEPT) sessionsSeen.push(id)
}

export function observeRateLimit(observation: Observation, message: Record<string, unknown>): void {
  const info = toRecord(message['rate_limit_info'])
  if (info) noteLimits(observation.notices, info)
  if (info?.['status'] !== 'rejected') {
    delete observation.rateLimit // a warning, or allowed again
    return
  }
  const type = toText(info['rateLimitType'])
  const { resetsAt } = info
  const isTime = typeof resetsAt === 'number' && !Number.isNaN(new Date(resetsAt * 1_000).getTime())
  observation.rateLimit = { resetsAt: isTime ? resetsAt : undefined, type }
}

export function observeResult(observation: Observation, message: Readonly<Record<string, unknown>>, raw: string): void {
  const text = toText(message['result'])
  const apiStatus = message['api_error_status']
  const terminalReason = toText(message['terminal_reason'])
  const errors = Array.isArray(message['errors'])
    ? message['errors'].filter((error): error is string => typeof error === 'string')
    : undefined
  const startupFailure = toText(message['startup_failure_reason'])
  const isError = message['is_error'] !== false
  noteCredential(observation.notices, message)
  observation.results += 1
  observation.turnActive = false
  delete observation.reply
  observation.lastResult = {
    subtype: toText(message['subtype']) ?? '',
    // Anything but a plain `false` is an error: success must be said.
    isError,
    numTurns: toCount(message['num_turns']),
    raw,
    text,
    apiStatus: typeof apiStatus === 'number' || apiStatus === null ? apiStatus : undefined,
    terminalReason,
    errors,
    startupFailure,
    isCut: raw === '' && !isError && text === undefined,
    isWholeAtLimit:
      message['subtype'] === 'error_max_budget_usd' &&
      message['stop_reason'] === 'end_turn' &&
      observation.partialText !== '',
    structuredOutput: message['structured_output'],
  }
  addUsage(observation, message)
}

function addUsage(observation: Observation, message: Readonly<Record<string, unknown>>): void {
  const { account, usage } = observation
  account.noteResult(message)
  observation.usage = {
    ...account.settled,
    turns: usage.turns + toCount(message['num_turns']),
    durationMs: usage.durationMs + toCount(message['duration_ms']),
  }
  updateTokens(observation)
}

/** A `result` that was too long to be parsed still ends its turn; what was short in it is known, its answer is not. */
export function observeOversized(observation: Observation, members: Readonly<Record<string, unknown>>): void {
  observeSession(observation, members)
  observeResult(observation, members, '')
}
