import { sha256 } from '../../platform/hash.js'
import type { Approval, ApprovalDecision, ClosedApproval } from '../../protocol/approvals.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ReceiptApproval } from '../../protocol/receipt.js'
import { toCanonicalJson } from '../../verification/canonical-json.js'

/** A change of the CLI's permissions, as the CLI suggests it and takes it. */
export type PermissionUpdate = Readonly<Record<string, unknown>>

/** What the CLI asked, as it is stored. */
export interface AskedApproval extends Pick<
  Approval,
  'kind' | 'toolUseId' | 'tool' | 'input' | 'inputTruncated' | 'inputSha256' | 'reason' | 'suggestions' | 'questions'
> {
  readonly attempt: number
  /** What `suggestions` names. */
  readonly updates: readonly PermissionUpdate[]
}

/** An approval as it is stored. Times are milliseconds since the epoch. */
export interface ApprovalRecord {
  readonly id: string
  readonly executionId: string
  readonly owner: string
  readonly status: Approval['status']
  readonly asked: AskedApproval
  readonly requestedAt: number
  readonly expiresAt: number
  readonly decision?: ApprovalDecision
  readonly decidedAt?: number
  readonly decidedBy?: string
  readonly decidedById?: string
  /** Why a worker keeps its slot for it, though its hold is over. */
  readonly heldBecause?: string
  /** Its execution was parked for it: with this attempt, which has left the call in its session. */
  readonly parkedAt?: number
}

const toTime = (milliseconds: number): string => new Date(milliseconds).toISOString()

export const digestInput = (input: unknown): string => sha256(toCanonicalJson(input))

/** Two spellings of one decision have one digest. */
export const digestDecision = (decision: ApprovalDecision): string =>
  digestInput(JSON.parse(JSON.stringify({ ...decision, appliesTo: decision.appliesTo ?? 'call' })))

export function toApproval(record: ApprovalRecord): Approval {
  const { id, executionId, status, asked, requestedAt, expiresAt, decision, decidedAt, decidedBy } = record
  return {
    id,
    executionId,
    kind: asked.kind,
    status,
    toolUseId: asked.toolUseId,
    tool: asked.tool,
    input: asked.input,
    inputTruncated: asked.inputTruncated,
    inputSha256: asked.inputSha256,
    reason: asked.reason,
    heldBecause: status === 'pending' ? record.heldBecause : undefined,
    suggestions: asked.suggestions,
    questions: asked.questions,
    requestedAt: toTime(requestedAt),
    expiresAt: toTime(expiresAt),
    decidedAt: decidedAt === undefined ? undefined : toTime(decidedAt),
    decidedBy,
    appliesTo: decision && (decision.appliesTo ?? 'call'),
    changedInput: decision?.input,
    message: decision?.message,
  }
}

export const toClosedApproval = ({ id, status, decidedBy, decidedAt }: ApprovalRecord): ClosedApproval => ({
  id,
  status,
  decidedBy,
  decidedAt: decidedAt === undefined ? undefined : toTime(decidedAt),
})

/** The event of its end; undefined while it is pending. */
export function toClosingEvent({ id, status, decision, decidedBy = '' }: ApprovalRecord): NewEvent | undefined {
  if (status === 'pending') return undefined
  if (status === 'expired') return { type: 'approval.expired', data: { approvalId: id } }
  if (status === 'withdrawn' || !decision) return { type: 'approval.withdrawn', data: { approvalId: id } }
  return toDecidedEvent(id, decision, decidedBy)
}

export const toDecidedEvent = (
  approvalId: string,
  { decision, message, appliesTo = 'call' }: ApprovalDecision,
  by: string,
): NewEvent => ({ type: 'approval.decided', data: { approvalId, decision, appliesTo, by, message } })

/** What of a decision reaches the model or its permissions, besides a changed input. */
const toAnswer = ({ answers, message, permissionMode }: ApprovalDecision): object | undefined =>
  answers === undefined && message === undefined && permissionMode === undefined
    ? undefined
    : (JSON.parse(JSON.stringify({ answers, message, permissionMode })) as object)

/** One that nobody decided is withdrawn with the end. */
export function toReceiptApproval(record: ApprovalRecord): ReceiptApproval {
  const { id, status, asked, requestedAt, decision, decidedAt, decidedBy, decidedById } = record
  const answer = decision && toAnswer(decision)
  return {
    id,
    kind: asked.kind,
    tool: asked.tool,
    toolUseId: asked.toolUseId,
    status: status === 'pending' ? 'withdrawn' : status,
    requestedAt: toTime(requestedAt),
    decidedAt: decidedAt === undefined ? undefined : toTime(decidedAt),
    decidedBy,
    tokenId: decidedById,
    appliesTo: decision && (decision.appliesTo ?? 'call'),
    inputSha256: asked.inputSha256,
    changedInputSha256: decision?.input && digestInput(decision.input),
    answerSha256: answer && digestInput(answer),
  }
}
