import type { PermissionRequest } from '../../claude/stream/permission-requests.js'
import type { AskedApproval } from '../records/approval-record.js'
import { digestInput } from '../records/approval-record.js'

/** A call that waits for a decision. */
export interface HeldCall {
  readonly request: PermissionRequest
  /** Of its approval, once that is stored. */
  readonly id: string
  isStored: boolean
  /** The CLI has taken it back, or is gone: it gets no answer. */
  isGone: boolean
  /** Its hold is over: the slot is given back where that can be done. */
  isOverdue: boolean
  /** As its record says why not. */
  heldBecause?: string | undefined
  /** It is denied, to be made again so that it can be kept. */
  isGivenUp?: boolean
  expiresAt?: number
  expiry?: NodeJS.Timeout
  hold?: NodeJS.Timeout
}

export function stopTimers({ expiry, hold }: HeldCall): void {
  clearTimeout(expiry)
  clearTimeout(hold)
}

/** What the model reads of a call that was not run. */
export const notRun = {
  denied: 'This tool call was denied by the person who was asked.',
  ending: 'The run is being ended; this call was not run.',
  unknown:
    'This call was allowed before, and the process that was to run it died: whether it ran is not known. Look before ' +
    'you make it again.',
  tooDeep: 'The input of this call is nested too deeply to be shown to a person; it was not run.',
  crowded:
    'This call was not run: nobody has decided on it yet, and it cannot wait any longer together with other calls, ' +
    'or in a subagent. Make it again later, in the main conversation and as the only call of your reply; then it can ' +
    'wait.',
  expired: (seconds: number): string =>
    `Nobody decided on this call within ${seconds} s, so it was not run. Continue without it, or say what is needed.`,
  full: (limit: number): string =>
    `This call was not run: at most ${limit} approvals may be asked for at a time. Make it again when others are decided.`,
  spent: (limit: number): string =>
    `This call was not run: this execution has asked for ${limit} approvals, and no more are possible.`,
} as const

export function toAsked(request: PermissionRequest, attempt: number): AskedApproval {
  const { kind, toolUseId, tool, input, inputShown, inputTruncated, reason, suggestions, updates, questions } = request
  return {
    kind,
    toolUseId,
    tool,
    input: inputShown,
    inputTruncated,
    inputSha256: digestInput(input),
    reason,
    suggestions: [...suggestions],
    updates,
    questions,
    attempt,
  }
}

/** A call that was left in the session, for which the execution is to be parked. */
export interface LeftCall {
  readonly approvalId: string
  readonly toolUseId: string
  readonly until: Date
}

export const toLeftCall = ({ id, request, expiresAt = 0 }: HeldCall): LeftCall => ({
  approvalId: id,
  toolUseId: request.toolUseId,
  until: new Date(expiresAt),
})
