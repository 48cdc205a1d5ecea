import type { ApprovalStatus } from '../../protocol/approvals.js'
import type { Priority } from '../../protocol/execute-request.js'

/** A parked execution that goes on: unpark-run.lua. */
export interface GoingOn {
  readonly fields: Record<string, string | undefined>
  readonly event: string
  readonly queueDeadline: number | undefined
}

export interface SentMessage {
  readonly id: string
  readonly messageId: string
  readonly message: string
  /** What is kept of one that is dropped at once. */
  readonly dropped: string
  readonly key: string | undefined
  readonly digest: string
  readonly event: string
  readonly at: string
  readonly maxOpen: number
  readonly maxAll: number
  /** It has become this execution already. */
  readonly followUpId: string | undefined
  /** The record that it becomes when it is dropped. */
  readonly owed: string | undefined
  /** Its id. */
  readonly owedId: string | undefined
  /** Bytes of attachments that were put aside by the id of the message. */
  readonly attached: number | undefined
  readonly maxAttached: number
}

export type SendReply =
  | ['accepted', number: number, state: string]
  | ['replayed', number: number]
  | ['full' | 'crowded', limit: number]
  | ['conflict' | 'withdrawn']
  | ['refused', state: string]

export interface DroppedMessages {
  readonly id: string
  readonly right: 'holder' | 'queued' | 'abandoned' | 'ended'
  readonly fence: string | undefined
  /** Of one that waits or is parked, as it was seen. */
  readonly state?: string | undefined
  readonly claim?: string | undefined
  readonly at: string
  readonly attempt: number
  readonly reason: string
}

/** Those scripts of lua/ by which people take part in a run. */
export interface PeopleScripts {
  ccSendMessage(args: SentMessage): SendReply
  ccDropMessages(args: DroppedMessages): ['dropped' | 'stale']
  ccRequestApproval(args: {
    id: string
    executionId: string
    fence: string
    asked: string
    timeoutMs: number
    maxOpen: number
    maxAll: number
  }): ['requested', requestedAt: number, expiresAt: number] | ['full', limit: number] | ['stale']
  ccDecideApproval(args: {
    id: string
    status: ApprovalStatus
    decision: string
    digest: string
    by: string
    byId: string
    parked: { event: string; unparked: GoingOn } | undefined
  }):
    | ['decided' | 'same' | 'closed' | 'missing' | 'moved']
    | ['unparked', executionId: string, claim: number, priority: Priority]
  ccHoldApproval(id: string, executionId: string, fence: string, why: string): 1 | 0
  ccCloseApproval(id: string, status: 'expired' | 'withdrawn'): ApprovalStatus | 'missing'
}
