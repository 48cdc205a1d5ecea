import type { TranscriptMark } from '../../claude/stream/transcript.js'
import type { TimeoutEstimate } from '../../protocol/estimate.js'
import type { ExecuteRequest, Priority } from '../../protocol/execute-request.js'
import {
  NO_USAGE,
  type Execution,
  type ExecutionKind,
  type Outcome,
  type RetryReason,
  type Usage,
} from '../../protocol/execution.js'
import type { RunBudget } from '../../protocol/usage.js'
import { toStatus, type ExecutionState } from './execution-state.js'
import type { Grant } from './grant.js'
import type { ListedTask } from './listed-task.js'
import { toRunBudget } from './run-budget.js'
import type { Caller } from '../../protocol/caller.js'

/** An execution as it is stored. Times are milliseconds since the epoch. */
export interface ExecutionRecord {
  readonly id: string
  readonly kind: ExecutionKind
  readonly state: ExecutionState
  readonly owner: string
  readonly request: ExecuteRequest
  readonly requestDigest: string
  readonly priority: Priority
  /** How often it was queued; see ExecutionJob. */
  readonly claim: number
  readonly attempt: number
  readonly createdAt: number
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly workerId?: string
  readonly sessionId?: string
  /** The execution whose conversation it goes on with. */
  readonly resumedFrom?: string
  /** The session that it goes on with, or begins as a copy of (then it has another id), and how far that had come. */
  readonly source?: { readonly sessionId: string; readonly isForked: boolean; readonly mark?: TranscriptMark }
  /** The first execution of the conversation, whose HOME it uses; its own, if it is the first. */
  readonly home: string
  readonly workspace: string
  /** Named workspaces and those of a resumed session only: what may be held by one execution at a time. */
  readonly workspaceLock?: string
  readonly waitingFor?: 'workspace' | 'sandbox'
  /** Attempts which do not count towards `maxAttempts`: handed over, or stopped by a rate limit. */
  readonly spared: number
  /** Attempts that could not start for a while, which count as well. */
  readonly failedStarts: number
  /** Why it went back to the queue the last time. */
  readonly retryReason?: RetryReason
  /** Until then its next attempt is not begun. */
  readonly notBefore?: number
  readonly timeoutEstimate?: TimeoutEstimate
  /** What the CLI called it, or the one that was asked for. */
  readonly model?: string
  /** What was reserved for it. */
  readonly budget?: RunBudget
  readonly usage: Usage
  /** Of the attempts before the one that runs. */
  readonly earlierUsage?: Usage
  readonly outcome?: Outcome
  /** What the API vouched for; an older one does not. */
  readonly grant?: Grant
  readonly metadata: Record<string, string>
  readonly simulated: boolean
  readonly lastSeq: number
  readonly position?: number
  /** Of a task: its list, and its place in it from 0. */
  readonly parentId?: string
  readonly taskIndex?: number
  /** Of a task list. */
  readonly taskCount?: number
  /** Of a task list: no further task follows; only its end is to be written. */
  readonly isOver?: boolean
  /** Of a task list: what a hook of the operator's refused it with. */
  readonly refusal?: Outcome
  /** Of a task list: how many of the hooks before it have decided. */
  readonly hooksRun?: number
  /** The day's budget had no place for the next task. */
  readonly isOverBudget?: boolean
  /** Of the token that asked for a list: its later tasks are made without it. */
  readonly dailyBudget?: Caller['dailyBudget']
  /** Of a task list that is read by itself: its tasks, as far as they exist. */
  readonly tasks?: readonly ListedTask[]
  readonly cancelled?: { readonly by: string; readonly reason?: string }
}

/** A list shows so much of a prompt; the execution by itself shows all of it. */
const SHORT_PROMPT_CHARACTERS = 200
/** And so many tasks, each with its prompt alone. */
const SHORT_TASKS = 3

const shorten = (text: string): string =>
  text.length <= SHORT_PROMPT_CHARACTERS ? text : `${text.slice(0, SHORT_PROMPT_CHARACTERS)}…`

/** The request without the bulk of its prompt, for lists: they never load a prompt of 4 MiB. */
export function shortenRequest(request: ExecuteRequest): ExecuteRequest {
  return {
    ...request,
    ...(request.prompt !== undefined && { prompt: shorten(request.prompt) }),
    ...(request.command !== undefined && { command: shorten(request.command) }),
    ...(request.files && { files: request.files.map(({ path }) => ({ path, content: '' })) }),
    ...(request.tasks && {
      tasks: request.tasks.slice(0, SHORT_TASKS).map((task) => shorten(typeof task === 'string' ? task : task.prompt)),
    }),
  }
}

/** A request that takes no more is stored once, and shortened when a list reads it. */
const SMALL_REQUEST_CHARACTERS = 1024

/** What a list reads in place of a request whose JSON is `text`. undefined: the request itself. */
export const toShortRequest = (request: ExecuteRequest, text: string): string | undefined =>
  text.length <= SMALL_REQUEST_CHARACTERS ? undefined : JSON.stringify(shortenRequest(request))

/** The fields that a list reads; `request` and `result` can be megabytes. */
export const LISTED_FIELDS = [
  'state',
  'owner',
  'shortRequest',
  'requestDigest',
  'priority',
  'claim',
  'attempt',
  'createdAt',
  'startedAt',
  'finishedAt',
  'workerId',
  'sessionId',
  'resumedFrom',
  'sourceSession',
  'sessionMark',
  'fork',
  'home',
  'workspace',
  'workspaceLock',
  'waitingFor',
  'spared',
  'failedStarts',
  'retryReason',
  'notBefore',
  'timeoutEstimate',
  'model',
  'reserved:usd',
  'reserved:tokens',
  'usage',
  'earlierUsage',
  'outcome',
  'metadata',
  'simulated',
  'kind',
  'parentId',
  'taskIndex',
  'taskCount',
  'over',
  'hooksRun',
  'refusal',
  'dailyBudget',
  'grant',
  'cancelBy',
  'cancelReason',
] as const
export const ALL_FIELDS = [...LISTED_FIELDS, 'request', 'result', 'resultJson'] as const
export type RecordField = (typeof ALL_FIELDS)[number]
export type StoredFields = Partial<Record<RecordField, string | null>>

/** Safe: the scripts store what was made JSON of this type. */
const parse = <Value extends object>(text: string | null | undefined): Value | undefined =>
  text ? (JSON.parse(text) as Value) : undefined

const toNumber = (text: string | null | undefined): number | undefined => (text ? Number(text) : undefined)

/** Text and JSON mode's objects lie in fields of their own kind: the text may look like JSON. */
function toResult({ result, resultJson }: StoredFields): Pick<Outcome, 'result'> {
  // Safe: concludingFields wrote it from an object.
  if (typeof resultJson === 'string') return { result: JSON.parse(resultJson) as Record<string, unknown> }
  return typeof result === 'string' ? { result } : {}
}

function toSource(sessionId: string, { fork, sessionMark }: StoredFields): NonNullable<ExecutionRecord['source']> {
  // Safe: the start of an attempt wrote it.
  return { sessionId, isForked: fork === '1', mark: parse<TranscriptMark>(sessionMark) }
}

function toRequest({ request, shortRequest }: StoredFields): ExecuteRequest {
  // Safe: toNewRecord wrote both.
  if (typeof request === 'string') return JSON.parse(request) as ExecuteRequest
  return shortenRequest(JSON.parse(shortRequest ?? '{}') as ExecuteRequest)
}

/** Reads what the scripts wrote; JSON here is our own and needs no second validation. */
export function toRecord(
  id: string,
  fields: StoredFields,
  lastSeq: number,
  rank: number | null,
): ExecutionRecord | undefined {
  if (!fields.state) return undefined
  const outcome = parse<Outcome>(fields.outcome)
  return {
    id,
    kind: (fields.kind ?? 'run') as ExecutionKind,
    state: fields.state as ExecutionState,
    owner: fields.owner ?? '',
    request: toRequest(fields),
    requestDigest: fields.requestDigest ?? '',
    priority: (fields.priority ?? 'normal') as Priority,
    claim: Number(fields.claim),
    attempt: Number(fields.attempt),
    createdAt: Number(fields.createdAt),
    startedAt: toNumber(fields.startedAt),
    finishedAt: toNumber(fields.finishedAt),
    workerId: fields.workerId || undefined,
    sessionId: fields.sessionId || undefined,
    resumedFrom: fields.resumedFrom || undefined,
    source: fields.sourceSession ? toSource(fields.sourceSession, fields) : undefined,
    home: fields.home || id,
    workspace: fields.workspace ?? '',
    workspaceLock: fields.workspaceLock || undefined,
    waitingFor: fields.waitingFor ? (fields.waitingFor === 'sandbox' ? 'sandbox' : 'workspace') : undefined,
    spared: Number(fields.spared ?? 0),
    failedStarts: Number(fields.failedStarts ?? 0),
    // Safe: a retry wrote it.
    retryReason: (fields.retryReason || undefined) as RetryReason | undefined,
    notBefore: toNumber(fields.notBefore),
    // Safe: toNewRecord wrote it.
    timeoutEstimate: parse<TimeoutEstimate>(fields.timeoutEstimate),
    model: fields.model || undefined,
    budget: toRunBudget(fields['reserved:usd'], fields['reserved:tokens']),
    usage: parse<Usage>(fields.usage) ?? NO_USAGE,
    // Safe: a retry wrote it.
    earlierUsage: parse<Usage>(fields.earlierUsage),
    // An empty answer is one, too: only null means that there is none.
    outcome: outcome && { ...outcome, ...toResult(fields) },
    metadata: JSON.parse(fields.metadata ?? '{}') as Record<string, string>,
    simulated: fields.simulated === '1',
    lastSeq,
    position: rank === null ? undefined : rank + 1,
    parentId: fields.parentId || undefined,
    taskIndex: fields.parentId ? Number(fields.taskIndex) : undefined,
    taskCount: toNumber(fields.taskCount),
    isOver: Boolean(fields.over),
    isOverBudget: fields.over === 'budget',
    // Safe: submitExecution wrote it; who has changed it is found out by its signature.
    grant: parse<Grant>(fields.grant),
    // Safe: RunHooks wrote it.
    refusal: parse<Outcome>(fields.refusal),
    hooksRun: toNumber(fields.hooksRun),
    // Safe: toNewRecord wrote it.
    dailyBudget: parse<NonNullable<Caller['dailyBudget']>>(fields.dailyBudget),
    cancelled: fields.cancelBy ? { by: fields.cancelBy, reason: fields.cancelReason || undefined } : undefined,
  }
}

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** As every surface shows it. */
export function toExecution(record: ExecutionRecord): Execution {
  const status = toStatus(record.state)
  const {
    id,
    kind,
    request,
    attempt,
    workspace,
    usage,
    outcome,
    metadata,
    simulated,
    lastSeq,
    parentId,
    taskIndex,
    taskCount,
    tasks,
  } = record
  return {
    id,
    kind,
    status,
    request,
    ...(record.state === 'queued' && record.position !== undefined && { position: record.position }),
    ...(record.waitingFor && { waitingFor: record.waitingFor }),
    ...(record.notBefore !== undefined && { waitingFor: 'retry' as const, notBefore: toTime(record.notBefore) }),
    ...(record.timeoutEstimate && { timeoutEstimate: record.timeoutEstimate }),
    ...(record.model !== undefined && { model: record.model }),
    ...(record.budget && { budget: record.budget }),
    createdAt: toTime(record.createdAt),
    ...(record.startedAt !== undefined && { startedAt: toTime(record.startedAt) }),
    ...(record.finishedAt !== undefined && { finishedAt: toTime(record.finishedAt) }),
    attempt,
    ...(record.workerId !== undefined && { workerId: record.workerId }),
    ...(record.sessionId !== undefined && { sessionId: record.sessionId }),
    ...(record.resumedFrom !== undefined && { resumedFrom: record.resumedFrom }),
    workspace,
    lastSeq,
    usage,
    ...(outcome && { outcome }),
    ...(taskCount !== undefined && { taskCount }),
    ...(tasks && {
      tasks: tasks.map(({ index, id: taskId, state }) => ({ index, id: taskId, status: toStatus(state) })),
    }),
    ...(parentId !== undefined && { parentId, taskIndex: taskIndex ?? 0 }),
    metadata,
    simulated,
  }
}
