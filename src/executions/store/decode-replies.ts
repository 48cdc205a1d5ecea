import type { Priority } from '../../protocol/execute-request.js'
import type { BudgetChange } from '../../protocol/usage.js'
import { toRefusal } from '../records/plan-budget.js'
import type {
  AdvanceReply,
  CancelListReply,
  ClaimReply,
  ConcludeReply,
  CreateReply,
  GoOnReply,
  PlacesReply,
  ReadyReply,
  RenewReply,
  RequeueReply,
  RetryReply,
  SetBudgetReply,
  StartReply,
} from './record-scripts.js'
import type { AdvanceAnswer, CancelListAnswer } from './list-transitions.js'
import type { GoOnAnswer, SetBudgetAnswer } from './parking-transitions.js'
import type {
  ClaimAnswer,
  ConcludeAnswer,
  CreateAnswer,
  PendingRequests,
  PlacesAnswer,
  ReadyExecution,
  RequeueAnswer,
  RetryAnswer,
  StartAnswer,
} from './transitions.js'

const toReady = (executionId: string, claim: number | string, priority: Priority): ReadyExecution => ({
  executionId,
  claim: Number(claim),
  priority,
})

/** Three values each. */
export function decodeReady(values: ReadyReply): ReadyExecution[] {
  return Array.from({ length: values.length / 3 }, (_, index) => {
    const [id = '', claim = '', priority] = values.slice(index * 3, index * 3 + 3)
    // Safe: the scripts give what was stored from a Priority.
    return toReady(String(id), claim, priority as Priority)
  })
}

export function decodeCreate(reply: CreateReply): CreateAnswer {
  switch (reply[0]) {
    case 'created':
    case 'full':
    case 'withdrawn':
    case 'waiting':
    case 'settled':
      return { kind: reply[0] }
    case 'replayed':
    case 'conflict':
      return { kind: reply[0], id: reply[1] }
    case 'over':
      return { kind: 'over', refusal: toRefusal(reply.slice(1)) }
    case 'refused':
      return { kind: 'refused', refusal: { why: reply[1], detail: reply[2] } }
  }
}

export function decodeClaim(reply: ClaimReply): ClaimAnswer {
  switch (reply[0]) {
    case 'claimed': {
      const [kind, executionId, fence, lastSeq, attempt, storedBytes, credential, messages, ...ready] = reply
      const claimed = { executionId, fence, lastSeq, attempt, storedBytes, credential, messages: Number(messages) }
      return { kind, ...claimed, ready: decodeReady(ready) }
    }
    case 'parked': {
      const [kind, ...ready] = reply
      return { kind, ready: decodeReady(ready) }
    }
    case 'refused':
      return { kind: 'refused', state: reply[1] }
    case 'blocked':
      return { kind: 'blocked', waitMs: reply[1] }
    case 'expired':
      return { kind: 'expired', executionId: reply[1] }
    case 'unsuited':
      return { kind: reply[0] }
  }
}

export function decodePlaces(reply: PlacesReply): PlacesAnswer {
  if (reply[0] !== 'taken' && reply[0] !== 'parked') return { kind: reply[0], ready: [] }
  const [kind, ...ready] = reply
  return { kind, ready: decodeReady(ready) }
}

export function decodeStart(reply: StartReply): StartAnswer {
  if (reply[0] !== 'started') return { kind: reply[0] }
  const [kind, lastSeq, ...batches] = reply
  return { kind, lastSeq, batches }
}

export function decodeRenew(reply: RenewReply): PendingRequests | undefined {
  if (reply[0] === 'stale') return undefined
  const [, cancelBy, cancelReason, pauseWanted, pauseBy, pauseReason, changes, messages, approvalsClosed] = reply
  return {
    cancel: cancelBy ? { by: cancelBy, reason: cancelReason || undefined } : undefined,
    messages: Number(messages),
    pause: pauseWanted ? { wanted: pauseWanted === '1', by: pauseBy, reason: pauseReason || undefined } : undefined,
    approvalsClosed: approvalsClosed ? Number(approvalsClosed) : undefined,
    // Safe: changeBudget made it.
    budgetChanges: changes ? (JSON.parse(changes) as BudgetChange[]) : undefined,
  }
}

export function decodeRequeue(id: string, reply: RequeueReply): RequeueAnswer {
  switch (reply[0]) {
    case 'requeued':
      return { kind: 'requeued', ready: toReady(id, reply[1], reply[2]) }
    case 'cancelled':
      return { kind: 'cancelled', by: reply[1], reason: reply[2] || undefined }
    case 'exhausted':
    case 'refused':
      return { kind: reply[0] }
  }
}

export function decodeRetry(id: string, reply: RetryReply): RetryAnswer {
  switch (reply[0]) {
    case 'retrying': {
      const [kind, claim, priority, ...others] = reply
      return { kind, ready: toReady(id, claim, priority), others: decodeReady(others) }
    }
    case 'cancelled':
      return { kind: 'cancelled', by: reply[1], reason: reply[2] || undefined }
    case 'parked': {
      const [kind, ...ready] = reply
      return { kind, ready: decodeReady(ready) }
    }
    case 'stale':
    case 'alive':
    case 'moved':
      return { kind: reply[0] }
    case 'refused':
      return { kind: 'refused', state: reply[1] }
  }
}

export function decodeGoOn(id: string, reply: GoOnReply): GoOnAnswer {
  switch (reply[0]) {
    case 'unparked':
      return { kind: 'unparked', ready: toReady(id, reply[1], reply[2]) }
    case 'over':
      return { kind: 'over', refusal: toRefusal(reply.slice(1)) }
    case 'refused':
      return { kind: 'refused', state: reply[1] }
  }
}

export function decodeSetBudget(id: string, reply: SetBudgetReply): SetBudgetAnswer {
  switch (reply[0]) {
    case 'changed':
    case 'moved':
      return { kind: reply[0] }
    default:
      return decodeGoOn(id, reply)
  }
}

export function decodeConclude(reply: ConcludeReply): ConcludeAnswer {
  switch (reply[0]) {
    case 'concluded': {
      const [kind, , parentId, orphanId, ...ready] = reply
      return {
        kind,
        parentId: parentId || undefined,
        orphanId: orphanId || undefined,
        ready: decodeReady(ready),
      }
    }
    case 'refused':
      return { kind: 'refused', state: reply[1] }
    case 'stale':
    case 'alive':
    case 'moved':
      return { kind: reply[0] }
  }
}

export function decodeAdvance(followingId: string | undefined, reply: AdvanceReply): AdvanceAnswer {
  switch (reply[0]) {
    case 'next':
      return { kind: 'next', ready: toReady(followingId ?? '', reply[1], reply[2]) }
    case 'over':
      return { kind: 'over', fence: reply[1] }
    case 'waiting':
    case 'moved':
    case 'settled':
      return { kind: reply[0] }
  }
}

export function decodeCancelList(reply: CancelListReply): CancelListAnswer {
  if (reply[0] === 'refused') return { kind: 'refused' }
  const [kind, id, state, lastSeq] = reply
  return { kind, lastSeq, task: id === '' ? undefined : { id, state } }
}
