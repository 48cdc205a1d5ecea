import type { TranscriptMark } from '../../claude/stream/transcript.js'
import type { TimeoutEstimate } from '../../protocol/estimate.js'
import type { ExecuteRequest, Priority } from '../../protocol/execute-request.js'
import type {
  Execution,
  ExecutionKind,
  Outcome,
  ParkReason,
  Payment,
  RetryReason,
  Usage,
} from '../../protocol/execution.js'
import type { BudgetChange, RunBudget } from '../../protocol/usage.js'
import { isTerminal } from '../../protocol/execution.js'
import { traceIdOf, type TraceCarrier } from '../../telemetry/tracing.js'
import { isParked, toParkReason, toStatus, type ExecutionState } from './execution-state.js'
import type { Grant } from './grant.js'
import type { ListedTask } from './listed-task.js'
import type { Caller } from '../../protocol/caller.js'

/** Why another attempt follows: why it went back to the queue, or what it was parked for. */
export type NextReason = RetryReason | ParkReason

/** Of an owner that may have only so many at work: how many those are and how many it has; place: 1 is next. */
export interface OwnTurn {
  readonly place: number
  readonly limit: number
  readonly active: number
}

/** Its owner has to have ends before it may begin. */
export const isHeldBack = ({ place, limit, active }: OwnTurn): boolean => place > limit - active

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
  readonly waitingFor?: 'workspace' | 'sandbox' | 'session'
  /** Of a follow-up: the execution whose end it waits for. */
  readonly follows?: string
  /** Attempts which do not count towards `maxAttempts`: handed over, or stopped by a rate limit. */
  readonly spared: number
  /** Attempts that could not start for a while, which count as well. */
  readonly failedStarts: number
  /** Why it went back to the queue the last time. */
  readonly retryReason?: NextReason
  /** Until then its next attempt is not begun. */
  readonly notBefore?: number
  readonly timeoutEstimate?: TimeoutEstimate
  /** What the CLI called it, or the one that was asked for. */
  readonly model?: string
  /** What it may spend. */
  readonly budget?: RunBudget
  /** What its limits were changed to, in order. */
  readonly budgetChanges?: readonly BudgetChange[]
  /** Of a parked one: until then. */
  readonly parkedUntil?: number
  /** For how long the attempts ran that its next one takes up: its timeout counts on. */
  readonly ranMs?: number
  /** What its next attempt is told of what was decided. */
  readonly unparkNote?: string
  readonly usage: Usage
  /** Of the attempts before the one that runs. */
  readonly earlierUsage?: Usage
  /** The name of the credential with which this claim was taken; an older worker says none. */
  readonly credential?: string
  /** What has been paid until its last attempt began, and at its end all of it. */
  readonly paidBy?: readonly Payment[]
  readonly outcome?: Outcome
  /** What the API vouched for; an older one does not. */
  readonly grant?: Grant
  readonly metadata: Record<string, string>
  readonly simulated: boolean
  readonly lastSeq: number
  readonly position?: number
  /** Where its owner may have only so many at work. */
  readonly ownTurn?: OwnTurn | undefined
  /** Of a task: its list, and its place in it from 0. */
  readonly parentId?: string
  readonly taskIndex?: number
  /** Of a task list. */
  readonly taskCount?: number
  /** The schedule that has started it. */
  readonly scheduleId?: string
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
  /** Ids of approvals that are pending; of a list, those of its tasks. */
  readonly openApprovals: readonly string[]
  /** How many approvals its runs have asked for. */
  readonly approvalCount: number
  /** Below what its spans stand; undefined: it was accepted where tracing is off. */
  readonly trace?: TraceCarrier | undefined
  /** When it was queued again the last time. */
  readonly queuedAt?: number | undefined
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
    prompt: request.prompt && shorten(request.prompt),
    command: request.command && shorten(request.command),
    files: request.files?.map(({ path }) => ({ path, content: '' })),
    tasks: request.tasks?.slice(0, SHORT_TASKS).map((task) => shorten(typeof task === 'string' ? task : task.prompt)),
  }
}

/** A request that takes no more is stored once, and shortened when a list reads it. */
const SMALL_REQUEST_CHARACTERS = 1024

/** What a list reads in place of a request whose JSON is `text`. undefined: the request itself. */
export const toShortRequest = (request: ExecuteRequest, text: string): string | undefined =>
  text.length <= SMALL_REQUEST_CHARACTERS ? undefined : JSON.stringify(shortenRequest(request))

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()
const toOptionalTime = (milliseconds: number | undefined): string | undefined =>
  milliseconds === undefined ? undefined : toTime(milliseconds)

/** What is shown of a record. */
export type ShownRecord = Pick<
  ExecutionRecord,
  | Exclude<keyof Execution & keyof ExecutionRecord, 'createdAt'>
  | 'state'
  | 'createdAt'
  | 'owner'
  | 'ownTurn'
  | 'openApprovals'
  | 'trace'
>

function toWaitingFor(record: ShownRecord): Execution['waitingFor'] {
  const { notBefore, waitingFor, state, ownTurn, openApprovals } = record
  // Its record still has what it last waited for.
  if (isTerminal(state)) return undefined
  if (openApprovals.length > 0) return 'approval'
  if (isParked(state)) return toParkReason(state)
  if (notBefore !== undefined) return 'retry'
  return waitingFor ?? (state === 'queued' && ownTurn && isHeldBack(ownTurn) ? 'token' : undefined)
}

/** As every surface shows it. */
export function toExecution(record: ShownRecord): Execution {
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
    position: record.state === 'queued' ? record.position : undefined,
    waitingFor: toWaitingFor(record),
    pendingApprovals: record.openApprovals.length > 0 ? record.openApprovals.length : undefined,
    pendingApprovalIds: record.openApprovals.length > 0 ? [...record.openApprovals] : undefined,
    notBefore: isTerminal(record.state) ? undefined : toOptionalTime(record.notBefore),
    parkedUntil: isParked(record.state) ? toOptionalTime(record.parkedUntil) : undefined,
    timeoutEstimate: record.timeoutEstimate,
    model: record.model,
    budget: record.budget,
    createdAt: toTime(record.createdAt),
    startedAt: toOptionalTime(record.startedAt),
    finishedAt: toOptionalTime(record.finishedAt),
    attempt,
    workerId: record.workerId,
    sessionId: record.sessionId,
    resumedFrom: record.resumedFrom,
    workspace,
    lastSeq,
    usage,
    paidBy: record.paidBy && [...record.paidBy],
    outcome,
    taskCount,
    tasks: tasks?.map(({ index, id: taskId, state }) => ({ index, id: taskId, status: toStatus(state) })),
    parentId,
    taskIndex: parentId === undefined ? undefined : (taskIndex ?? 0),
    scheduleId: record.scheduleId,
    metadata,
    traceId: record.trace && traceIdOf(record.trace),
    simulated,
  }
}
