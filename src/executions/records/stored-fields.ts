import type { TranscriptMark } from '../../claude/stream/transcript.js'
import type { Caller } from '../../protocol/caller.js'
import type { TimeoutEstimate } from '../../protocol/estimate.js'
import type { BudgetChange } from '../../protocol/usage.js'
import type { ExecuteRequest, Priority } from '../../protocol/execute-request.js'
import { NO_USAGE, type ExecutionKind, type Outcome, type Payment, type Usage } from '../../protocol/execution.js'
import { shortenRequest, type ExecutionRecord, type NextReason } from './execution-record.js'
import type { ExecutionState } from './execution-state.js'
import type { Grant } from './grant.js'
import { toRunBudget } from './run-budget.js'

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
  'follows',
  'spared',
  'failedStarts',
  'retryReason',
  'notBefore',
  'timeoutEstimate',
  'model',
  'reserved:usd',
  'reserved:tokens',
  'base:usd',
  'base:tokens',
  'budgetChanges',
  'parkedUntil',
  'ranMs',
  'unparkNote',
  'usage',
  'earlierUsage',
  'credential',
  'credentialClaim',
  'paidBy',
  'outcome',
  'metadata',
  'simulated',
  'kind',
  'parentId',
  'taskIndex',
  'taskCount',
  'scheduleId',
  'over',
  'hooksRun',
  'refusal',
  'dailyBudget',
  'grant',
  'cancelBy',
  'cancelReason',
  'openApprovals',
  'approvalCount',
  'traceparent',
  'tracestate',
  'queuedAt',
] as const
/** What a list shows of each, beside its state and its request. */
export const SHOWN_FIELDS = [
  'attempt',
  'createdAt',
  'startedAt',
  'finishedAt',
  'workerId',
  'sessionId',
  'resumedFrom',
  'workspace',
  'waitingFor',
  'notBefore',
  'timeoutEstimate',
  'model',
  'reserved:usd',
  'reserved:tokens',
  'base:usd',
  'base:tokens',
  'parkedUntil',
  'usage',
  'outcome',
  'paidBy',
  'metadata',
  'simulated',
  'kind',
  'parentId',
  'taskIndex',
  'taskCount',
  'scheduleId',
  'openApprovals',
  'traceparent',
] as const satisfies ReadonlyArray<(typeof LISTED_FIELDS)[number]>
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

function toWaitingFor(text: string | null | undefined): ExecutionRecord['waitingFor'] {
  if (!text) return undefined
  return text === 'sandbox' || text === 'session' ? text : 'workspace'
}

function toRequest({ request, shortRequest }: StoredFields): ExecuteRequest {
  // Safe: toNewRecord wrote both.
  if (typeof request === 'string') return JSON.parse(request) as ExecuteRequest
  return shortenRequest(JSON.parse(shortRequest ?? '{}') as ExecuteRequest)
}

export function toTrace({ traceparent, tracestate }: StoredFields): ExecutionRecord['trace'] {
  return traceparent ? { traceparent, tracestate: tracestate || undefined } : undefined
}

/** Reads what the scripts wrote; JSON here is our own and needs no second validation. */
export function toRecord(
  id: string,
  fields: StoredFields,
  lastSeq: number,
  position: number | undefined,
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
    waitingFor: toWaitingFor(fields.waitingFor),
    follows: fields.follows || undefined,
    spared: Number(fields.spared ?? 0),
    failedStarts: Number(fields.failedStarts ?? 0),
    // Safe: a retry wrote it.
    retryReason: (fields.retryReason || undefined) as NextReason | undefined,
    notBefore: toNumber(fields.notBefore),
    // Safe: toNewRecord wrote it.
    timeoutEstimate: parse<TimeoutEstimate>(fields.timeoutEstimate),
    model: fields.model || undefined,
    budget: toRunBudget(
      [fields['base:usd'], fields['reserved:usd']],
      [fields['base:tokens'], fields['reserved:tokens']],
    ),
    // Safe: changeBudget made it.
    budgetChanges: parse<BudgetChange[]>(fields.budgetChanges),
    parkedUntil: toNumber(fields.parkedUntil),
    ranMs: toNumber(fields.ranMs),
    unparkNote: fields.unparkNote || undefined,
    usage: parse<Usage>(fields.usage) ?? NO_USAGE,
    // Safe: a retry wrote it.
    earlierUsage: parse<Usage>(fields.earlierUsage),
    credential: (fields.credentialClaim === fields.claim && fields.credential) || undefined,
    // Safe: toPayments made it.
    paidBy: parse<Payment[]>(fields.paidBy),
    // An empty answer is one, too: only null means that there is none.
    outcome: outcome && { ...outcome, ...toResult(fields) },
    metadata: JSON.parse(fields.metadata ?? '{}') as Record<string, string>,
    simulated: fields.simulated === '1',
    lastSeq,
    position,
    parentId: fields.parentId || undefined,
    taskIndex: fields.parentId ? Number(fields.taskIndex) : undefined,
    taskCount: toNumber(fields.taskCount),
    scheduleId: fields.scheduleId || undefined,
    isOver: Boolean(fields.over),
    isOverBudget: fields.over === 'budget',
    // Safe: submitExecution wrote it; who has changed it is found out by its signature.
    grant: parse<Grant>(fields.grant),
    // Safe: RunHooks wrote it.
    refusal: parse<Outcome>(fields.refusal),
    hooksRun: toNumber(fields.hooksRun),
    // Safe: toNewRecord wrote it.
    dailyBudget: parse<NonNullable<Caller['dailyBudget']>>(fields.dailyBudget),
    openApprovals: fields.openApprovals ? fields.openApprovals.split(' ') : [],
    approvalCount: Number(fields.approvalCount ?? 0),
    trace: toTrace(fields),
    queuedAt: toNumber(fields.queuedAt),
    cancelled: fields.cancelBy ? { by: fields.cancelBy, reason: fields.cancelReason || undefined } : undefined,
  }
}
