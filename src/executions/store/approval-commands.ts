import { serializeWithoutSeq } from '../../events/stored-event.js'
import type { ApprovalDecision, ApprovalStatus } from '../../protocol/approvals.js'
import type { NewEvent } from '../../protocol/events.js'
import type { ApprovalRecord, AskedApproval } from '../records/approval-record.js'
import { toUnparked } from './parking-commands.js'
import type { GoOn, SeenParked } from './parking-transitions.js'
import { execute, type StoreContext } from './store-context.js'
import type { ReadyExecution } from './transitions.js'

export type RequestApprovalAnswer =
  | { readonly kind: 'requested'; readonly requestedAt: number; readonly expiresAt: number }
  | { readonly kind: 'stale' }
  | { readonly kind: 'full'; readonly limit: number }

/** `moved`: its execution has been parked since it was seen. */
export type DecideApprovalAnswer =
  | { readonly kind: 'decided' | 'same' | 'closed' | 'missing' | 'moved' }
  | { readonly kind: 'unparked'; readonly ready: ReadyExecution }

/** Of an execution that was seen parked: how it continues, and the event of the decision. */
export interface ParkedDecision {
  readonly seen: Pick<SeenParked, 'state' | 'attempt'>
  readonly event: NewEvent
  readonly next: Pick<GoOn, 'by' | 'at' | 'queueDeadline'>
}

export interface ApprovalLimits {
  readonly open: number
  readonly all: number
}

/** Approvals: what a run's calls wait for, and what people decide. */
export interface ApprovalCommands {
  requestApproval(
    id: string,
    of: { executionId: string; fence: string },
    asked: AskedApproval,
    timeoutMs: number,
    limits: ApprovalLimits,
  ): Promise<RequestApprovalAnswer>
  /** The first decision counts; `same`: it was this one, of the same token. */
  decideApproval(
    id: string,
    decision: ApprovalDecision,
    digest: string,
    by: { id: string; name: string },
    parked?: ParkedDecision,
  ): Promise<DecideApprovalAnswer>
  /** Why a worker keeps its slot for it after its hold; undefined: it does not any more. */
  holdApproval(id: string, of: { executionId: string; fence: string }, why: string | undefined): Promise<void>
  /** Without a decision; the status that it has now. */
  closeApproval(id: string, status: 'expired' | 'withdrawn'): Promise<ApprovalStatus | 'missing'>
  /** Those that exist, in the order asked for. */
  getApprovals(ids: readonly string[]): Promise<ApprovalRecord[]>
  /** Of an execution, oldest first. */
  listApprovalsOf(executionId: string): Promise<ApprovalRecord[]>
  /** Ids, newest first, older than `before`. undefined as owner: of all. */
  listApprovalIds(
    which: 'open' | 'closed',
    owner: string | undefined,
    bounds: { before?: string | undefined; count: number },
  ): Promise<string[]>
  /** Pending ones whose time is over. */
  listExpiredApprovals(count: number): Promise<string[]>
  /** Takes ids whose approval is gone out of the indexes. */
  trimApprovals(count: number): Promise<number>
}

const FIELDS = [
  'executionId',
  'owner',
  'status',
  'asked',
  'requestedAt',
  'expiresAt',
  'decision',
  'decidedAt',
  'decidedBy',
  'decidedById',
  'heldBecause',
  'parkedAt',
] as const

const STATUS_OF = { allow: 'allowed', deny: 'denied', answer: 'answered' } as const

/** Safe: the scripts wrote it, from what TypeScript had made JSON of these types. */
function toApprovalRecord(id: string, values: Array<string | null>): ApprovalRecord | undefined {
  const [executionId, owner, status, asked, requestedAt, expiresAt, decision, decidedAt, decidedBy, ...rest] = values
  const [decidedById, heldBecause, parkedAt] = rest
  if (!executionId || !status || !asked) return undefined
  return {
    id,
    executionId,
    owner: owner ?? '',
    status: status as ApprovalStatus,
    asked: JSON.parse(asked) as AskedApproval,
    requestedAt: Number(requestedAt),
    expiresAt: Number(expiresAt),
    decision: decision ? (JSON.parse(decision) as ApprovalDecision) : undefined,
    decidedAt: decidedAt ? Number(decidedAt) : undefined,
    decidedBy: decidedBy ?? undefined,
    decidedById: decidedById ?? undefined,
    heldBecause: heldBecause ?? undefined,
    parkedAt: parkedAt ? Number(parkedAt) : undefined,
  }
}

export function createApprovalCommands({ redis, root, run, now }: StoreContext): ApprovalCommands {
  async function getApprovals(ids: readonly string[]): Promise<ApprovalRecord[]> {
    if (ids.length === 0) return []
    const pipeline = redis.pipeline()
    for (const id of ids) pipeline.hmget(`${root}:approval:${id}`, ...FIELDS)
    const answers = await execute(pipeline)
    return ids.flatMap((id, index) => toApprovalRecord(id, answers[index] as Array<string | null>) ?? [])
  }

  async function trim(index: string, count: number): Promise<number> {
    const oldest = await redis.zrange(index, '0', String(count - 1))
    const pipeline = redis.pipeline()
    for (const id of oldest) pipeline.exists(`${root}:approval:${id}`)
    const present = await execute(pipeline)
    const gone = oldest.filter((_id, position) => present[position] === 0)
    if (gone.length > 0) await redis.zrem(index, ...gone)
    return gone.length
  }

  return {
    async requestApproval(id, { executionId, fence }, asked, timeoutMs, { open, all }) {
      const reply = await run('ccRequestApproval', {
        id,
        executionId,
        fence,
        asked: JSON.stringify(asked),
        timeoutMs: Math.ceil(timeoutMs),
        maxOpen: open,
        maxAll: all,
      })
      switch (reply[0]) {
        case 'requested':
          return { kind: 'requested', requestedAt: reply[1], expiresAt: reply[2] }
        case 'full':
          return { kind: 'full', limit: reply[1] }
        case 'stale':
          return { kind: 'stale' }
      }
    },
    async decideApproval(id, decision, digest, by, parked) {
      const answer = await run('ccDecideApproval', {
        id,
        status: STATUS_OF[decision.decision],
        decision: JSON.stringify(decision),
        digest,
        by: by.name,
        byId: by.id,
        parked: parked && {
          event: serializeWithoutSeq(parked.event, parked.next.at, parked.seen.attempt),
          unparked: toUnparked(parked.seen, parked.next),
        },
      })
      if (answer[0] !== 'unparked') return { kind: answer[0] }
      const [kind, executionId, claim, priority] = answer
      return { kind, ready: { executionId, claim, priority } }
    },
    async holdApproval(id, { executionId, fence }, why = '') {
      await run('ccHoldApproval', id, executionId, fence, why)
    },
    closeApproval: (id, status) => run('ccCloseApproval', id, status),
    getApprovals,
    async listApprovalsOf(executionId) {
      return getApprovals(await redis.zrange(`${root}:approvals-of:${executionId}`, '0', '-1'))
    },
    listApprovalIds(which, owner, { before, count }) {
      const index = `${root}:${which}-approvals${owner === undefined ? '' : `:${owner}`}`
      return redis.zrevrangebylex(index, before === undefined ? '+' : `(${before}`, '-', 'LIMIT', 0, count)
    },
    async listExpiredApprovals(count) {
      return redis.zrangebyscore(`${root}:approval-deadlines`, '-inf', await now(), 'LIMIT', 0, count)
    },
    async trimApprovals(count) {
      const gone = await trim(`${root}:closed-approvals`, count)
      if (gone === 0) return 0
      for (const owner of await redis.smembers(`${root}:owners`)) await trim(`${root}:closed-approvals:${owner}`, count)
      return gone
    },
  }
}
