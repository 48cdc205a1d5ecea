import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import type { NewEvent } from '../protocol/events.js'
import { serializeWithoutSeq } from '../events/stored-event.js'
import type { Priority } from '../protocol/execute-request.js'
import type { Outcome, Usage } from '../protocol/execution.js'
import type { PublicJwk } from '../protocol/receipt.js'
import { ALL_FIELDS, LIST_FIELDS, shortenRequest, toRecord, type ExecutionRecord, type RecordField, type StoredFields } from './execution-record.js'
import * as scripts from './execution-scripts.js'

/** What a submission fixes of a record. */
export type NewRecord = Pick<
  ExecutionRecord,
  'id' | 'owner' | 'request' | 'requestDigest' | 'priority' | 'createdAt' | 'workspace' | 'workspaceLock' | 'metadata' | 'simulated'
> & { readonly queueDeadline?: number; readonly idempotencyKey?: string }

export type CreateAnswer =
  | { readonly kind: 'created' }
  | { readonly kind: 'replayed'; readonly id: string }
  | { readonly kind: 'conflict'; readonly id: string }
  | { readonly kind: 'full' }

export type ClaimAnswer =
  | { readonly kind: 'claimed'; readonly fence: string; readonly lastSeq: number; readonly attempt: number }
  | { readonly kind: 'refused'; readonly state: string }
  | { readonly kind: 'expired' }
  | { readonly kind: 'parked' }

export interface Wishes {
  readonly cancel?: { readonly by: string; readonly reason?: string }
  readonly pause?: { readonly wanted: boolean; readonly by: string; readonly reason?: string }
}

/** An execution whose turn has come: somebody must put a job into the queue for it. */
export interface Woken {
  readonly executionId: string
  readonly claim: number
  readonly priority: Priority
}

export interface Conclusion {
  readonly outcome: Outcome
  readonly usage: Usage
  readonly finishedAt: Date
  readonly attempt: number
  /** The event that says why, where that is not in the log yet. */
  readonly cause?: NewEvent
}

/** The signed receipt of a conclusion, which holds only for a log that ends where it was read. */
export interface Seal {
  readonly receipt: string
  readonly finishedSeq: number
  readonly key: PublicJwk
}

export type ConcludeAnswer =
  | { readonly kind: 'concluded'; readonly woken?: Woken }
  | { readonly kind: 'refused'; readonly state: string }
  | { readonly kind: 'stale' }
  | { readonly kind: 'alive' }
  /** The log has gone on since the receipt was made: it must be made anew. */
  | { readonly kind: 'moved' }

/** At least a day, as the protocol promises, and no shorter than the execution itself is kept. */
const IDEMPOTENCY_MS = 24 * 60 * 60 * 1_000
/** Sorts by priority first, then by time; stays far below 2^53. */
const PRIORITY_STEP = 1e14
const PRIORITY_RANK: Record<Priority, number> = { high: 0, normal: 1, low: 2 }

type Answer = Array<string | number>
type Script = (root: string, ...args: Array<string | number>) => Promise<Answer>
type Commands = Record<'ccCreate' | 'ccClaim' | 'ccStart' | 'ccRenew' | 'ccConclude' | 'ccConcludeAbandoned' | 'ccConcludeQueued' | 'ccWish' | 'ccRequeue' | 'ccUnpark' | 'ccDelete', Script> & {
  ccEnter(root: string, id: string, fence: string, state: string): Promise<string>
  ccReclaim(root: string, id: string, claim: number): Promise<string | number>
}

const SCRIPTS: Record<keyof Commands, string> = {
  ccCreate: scripts.CREATE_LUA,
  ccClaim: scripts.CLAIM_LUA,
  ccStart: scripts.START_LUA,
  ccRenew: scripts.RENEW_LUA,
  ccEnter: scripts.ENTER_LUA,
  ccConclude: scripts.CONCLUDE_LUA,
  ccConcludeAbandoned: scripts.CONCLUDE_ABANDONED_LUA,
  ccConcludeQueued: scripts.CONCLUDE_QUEUED_LUA,
  ccWish: scripts.WISH_LUA,
  ccRequeue: scripts.REQUEUE_LUA,
  ccReclaim: scripts.RECLAIM_LUA,
  ccUnpark: scripts.UNPARK_LUA,
  ccDelete: scripts.DELETE_LUA,
}

const toWoken = ([executionId, claim, priority]: Answer): Woken | undefined =>
  executionId === undefined ? undefined : { executionId: String(executionId), claim: Number(claim), priority: priority as Priority }

function toConcludeAnswer([kind, state, ...woken]: Answer): ConcludeAnswer {
  const next = toWoken(woken)
  if (kind === 'concluded') return next ? { kind, woken: next } : { kind }
  if (kind === 'stale' || kind === 'alive' || kind === 'moved') return { kind }
  return { kind: 'refused', state: String(state) }
}

/** The last events of a log, in order, without their seqs. */
export function concludingEvents({ outcome, usage, finishedAt, attempt, cause }: Conclusion): string[] {
  const events: NewEvent[] = [...(cause ? [cause] : []), { type: 'execution.finished', data: { outcome, usage } }]
  return events.map((event) => serializeWithoutSeq(event, finishedAt, attempt))
}

/** The result lies in a field of its own, so that lists need not load it. */
function finishedFields({ outcome: { result, ...outcome }, usage, finishedAt }: Conclusion, seal: Seal | undefined): string {
  const fields = { outcome: JSON.stringify(outcome), usage: JSON.stringify(usage), finishedAt: String(finishedAt.getTime()), ...(typeof result === 'object' ? { resultJson: JSON.stringify(result) } : result !== undefined && { result }), ...(seal && { receipt: seal.receipt }) }
  return JSON.stringify(fields)
}

/** The records: every change is one script that checks state and fence, and writes the event that tells of it. */
export class ExecutionStore {
  readonly #redis: Redis
  readonly #commands: Commands
  readonly #root: string
  readonly #retentionMs: number

  constructor(redis: Redis, { prefix, retentionSeconds }: { prefix: string; retentionSeconds: number }) {
    for (const [name, lua] of Object.entries(SCRIPTS)) redis.defineCommand(name, { numberOfKeys: 1, lua })
    this.#redis = redis
    // defineCommand adds these methods at run time; ioredis has no types for them.
    this.#commands = redis as unknown as Commands
    this.#root = keyRoot(prefix)
    this.#retentionMs = Math.ceil(retentionSeconds * 1_000)
  }

  /** Writes the record and event 1, or says what stands against it; one atomic step. */
  async create(record: NewRecord, maxQueue: number): Promise<CreateAnswer> {
    const score = PRIORITY_RANK[record.priority] * PRIORITY_STEP + record.createdAt
    const fields = {
      state: 'queued', owner: record.owner, request: JSON.stringify(record.request), shortRequest: JSON.stringify(shortenRequest(record.request)),
      requestDigest: record.requestDigest, priority: record.priority, claim: '1', attempt: '0', createdAt: String(record.createdAt), workspace: record.workspace,
      metadata: JSON.stringify(record.metadata), simulated: record.simulated ? '1' : '0', score: String(score),
      ...(record.workspaceLock !== undefined && { workspaceLock: record.workspaceLock }),
      ...(record.queueDeadline !== undefined && { queueDeadline: String(record.queueDeadline) }),
      ...(record.idempotencyKey !== undefined && { idempotencyKey: record.idempotencyKey }),
    }
    const event = serializeWithoutSeq({ type: 'execution.queued', data: { position: 0, requestDigest: record.requestDigest } }, new Date(record.createdAt), 0)
    const [before = '', after = ''] = event.split(/(?<="position":)0/)
    const [kind, id] = await this.#commands.ccCreate(
      this.#root, record.id, record.owner, record.idempotencyKey ?? '', record.requestDigest, maxQueue,
      Math.max(IDEMPOTENCY_MS, this.#retentionMs), score, JSON.stringify(fields), before, after,
    )
    if (kind === 'created' || kind === 'full') return { kind }
    return { kind: kind === 'replayed' ? 'replayed' : 'conflict', id: String(id) }
  }

  async get(id: string): Promise<ExecutionRecord | undefined> {
    const [record] = await this.#load([id], ALL_FIELDS)
    return record
  }

  /** Records without their long texts; ids that have none are left out. */
  async getMany(ids: readonly string[]): Promise<ExecutionRecord[]> {
    return (await this.#load(ids, LIST_FIELDS)).filter((record) => record !== undefined)
  }

  async exists(id: string): Promise<boolean> {
    return (await this.#redis.exists(`${this.#root}:execution:${id}`)) === 1
  }

  /** Ids of an owner, newest first, strictly older than `before` and not older than `notBefore` (both as UUIDv7 bounds). */
  async listIds(owner: string, bounds: { before?: string; notBefore?: string; count: number }): Promise<string[]> {
    const newest = bounds.before === undefined ? '+' : `(${bounds.before}`
    const oldest = bounds.notBefore === undefined ? '-' : `[${bounds.notBefore}`
    return this.#redis.zrevrangebylex(`${this.#root}:index:${owner}`, newest, oldest, 'LIMIT', 0, bounds.count)
  }

  async claim(id: string, claim: number, workerId: string, leaseMs: number): Promise<ClaimAnswer> {
    const [kind, second, lastSeq, attempt] = await this.#commands.ccClaim(this.#root, id, claim, workerId, leaseMs)
    switch (kind) {
      case 'claimed':
        return { kind, fence: String(second), lastSeq: Number(lastSeq), attempt: Number(attempt) }
      case 'expired':
      case 'parked':
        return { kind }
      default:
        return { kind: 'refused', state: String(second) }
    }
  }

  /** starting → running, under the fence; the CLI may be let go only after this. */
  async start(id: string, fence: string, fields: { startedAt: Date; attempt: number; sessionId: string; simulated: boolean }, event: NewEvent): Promise<{ kind: 'started'; lastSeq: number } | { kind: 'stale' | 'cancelled' }> {
    const stored = { startedAt: String(fields.startedAt.getTime()), attempt: String(fields.attempt), sessionId: fields.sessionId, simulated: fields.simulated ? '1' : '0' }
    const [kind, lastSeq] = await this.#commands.ccStart(this.#root, id, fence, JSON.stringify(stored), serializeWithoutSeq(event, fields.startedAt, fields.attempt))
    if (kind === 'started') return { kind, lastSeq: Number(lastSeq) }
    return { kind: kind === 'cancelled' ? 'cancelled' : 'stale' }
  }

  /** Extends the lease and tells what is wished; undefined when the fence is lost. */
  async renew(id: string, fence: string, leaseMs: number, usage?: Usage): Promise<Wishes | undefined> {
    const [kind, ...wishes] = await this.#commands.ccRenew(this.#root, id, fence, Math.ceil(leaseMs), usage ? JSON.stringify(usage) : '')
    if (kind !== 'ok') return undefined
    const [cancelBy, cancelReason, pauseWanted, pauseBy, pauseReason] = wishes.map(String)
    return {
      ...(cancelBy && { cancel: { by: cancelBy, ...(cancelReason && { reason: cancelReason }) } }),
      ...(pauseWanted && { pause: { wanted: pauseWanted === '1', by: pauseBy ?? '', ...(pauseReason && { reason: pauseReason }) } }),
    }
  }

  /** running ⇄ paused by the holder of the fence. */
  async enter(id: string, fence: string, state: 'running' | 'paused'): Promise<boolean> {
    return (await this.#commands.ccEnter(this.#root, id, fence, state)) === 'ok'
  }

  async conclude(id: string, fence: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(await this.#commands.ccConclude(this.#root, id, fence, ...this.#toEnd(conclusion, seal)))
  }

  /** Only where the lease is over. */
  async concludeAbandoned(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(await this.#commands.ccConcludeAbandoned(this.#root, id, ...this.#toEnd(conclusion, seal)))
  }

  /** Only where nobody has claimed it. */
  async concludeQueued(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(await this.#commands.ccConcludeQueued(this.#root, id, ...this.#toEnd(conclusion, seal)))
  }

  #toEnd(conclusion: Conclusion, seal: Seal | undefined): Array<string | number> {
    const [finished = '', cause = ''] = concludingEvents(conclusion).toReversed()
    const signed = seal ? [seal.finishedSeq, seal.key.kid, JSON.stringify(seal.key)] : ['', '', '']
    return [conclusion.outcome.status, finishedFields(conclusion, seal), finished, this.#retentionMs, cause, ...signed]
  }

  /** The receipt's text, as it was signed. */
  async getReceipt(id: string): Promise<string | undefined> {
    return (await this.#redis.hget(`${this.#root}:execution:${id}`, 'receipt')) ?? undefined
  }

  /** Every public key that has signed a receipt here, as JSON. */
  listReceiptKeys(): Promise<string[]> {
    return this.#redis.hvals(`${this.#root}:receipt-keys`)
  }

  async wish(id: string, wish: { kind: 'cancel' } | { kind: 'pause'; wanted: boolean }, by: string, reason: string | undefined): Promise<{ kind: 'wished' | 'known' } | { kind: 'refused'; state: string }> {
    const value = wish.kind === 'pause' && wish.wanted ? '1' : '0'
    const [kind, state] = await this.#commands.ccWish(this.#root, id, wish.kind, value, by, reason ?? '')
    if (kind === 'wished' || kind === 'known') return { kind }
    return { kind: 'refused', state: String(state) }
  }

  /** starting → queued; without a fence only where the lease is over. */
  async requeue(id: string, fence: string | undefined, limit: number): Promise<{ kind: 'requeued'; woken: Woken } | { kind: 'exhausted' | 'refused' }> {
    const [kind, claim, priority] = await this.#commands.ccRequeue(this.#root, id, fence ?? '', limit)
    if (kind === 'requeued') return { kind, woken: { executionId: id, claim: Number(claim), priority: priority as Priority } }
    return { kind: kind === 'exhausted' ? 'exhausted' : 'refused' }
  }

  /** A new claim for a queued record whose job was lost; undefined where it has moved on meanwhile. */
  async reclaim(id: string, claim: number): Promise<number | undefined> {
    const answer = await this.#commands.ccReclaim(this.#root, id, claim)
    return answer === '' ? undefined : Number(answer)
  }

  async unpark(id: string): Promise<Woken | undefined> {
    return toWoken(await this.#commands.ccUnpark(this.#root, id))
  }

  async delete(id: string, owner: string): Promise<{ kind: 'deleted'; claim: number } | { kind: 'refused'; state: string }> {
    const [kind, second] = await this.#commands.ccDelete(this.#root, id, owner)
    return kind === 'deleted' ? { kind, claim: Number(second) } : { kind: 'refused', state: String(second) }
  }

  /** Claimed executions whose lease is over, by Redis' clock. */
  async listAbandoned(count: number): Promise<string[]> {
    const [seconds] = await this.#redis.time()
    return this.#redis.zrangebyscore(`${this.#root}:leases`, '-inf', Number(seconds) * 1_000, 'LIMIT', 0, count)
  }

  /** Queued executions whose queue timeout is over. */
  listOverdue(count: number): Promise<string[]> {
    return this.#redis.zrangebyscore(`${this.#root}:deadlines`, '-inf', Date.now(), 'LIMIT', 0, count)
  }

  listWaiting(count: number): Promise<string[]> {
    return this.#redis.zrange(`${this.#root}:waiting`, '0', String(count - 1))
  }

  listParked(count: number): Promise<string[]> {
    return this.#redis.zrange(`${this.#root}:parked`, '0', String(count - 1))
  }

  /** How many wait by priority, how many of them for a workspace, and how many have started. */
  async count(): Promise<{ byPriority: Record<Priority, number>; parked: number; active: string[] }> {
    const waiting = `${this.#root}:waiting`
    const parked = `${this.#root}:parked`
    const pipeline = this.#redis.pipeline()
    for (const key of [waiting, parked]) {
      for (const rank of Object.values(PRIORITY_RANK)) pipeline.zcount(key, rank * PRIORITY_STEP, `(${(rank + 1) * PRIORITY_STEP}`)
    }
    pipeline.zcard(parked).zrange(`${this.#root}:leases`, '0', '-1')
    const answers = await execute(pipeline)
    const at = (index: number): number => Number(answers[index] ?? 0)
    return {
      byPriority: { high: at(0) + at(3), normal: at(1) + at(4), low: at(2) + at(5) },
      parked: at(6),
      active: (answers[7] as string[] | undefined) ?? [],
    }
  }

  /** One process at a time does the housekeeping. */
  async tryLock(name: string, milliseconds: number): Promise<boolean> {
    return (await this.#redis.set(`${this.#root}:lock:${name}`, '1', 'PX', milliseconds, 'NX')) === 'OK'
  }

  /** Takes ids whose record has expired out of the indexes, oldest first; returns how many. */
  async trimIndexes(count: number): Promise<number> {
    const owners = await this.#redis.smembers(`${this.#root}:owners`)
    let trimmed = 0
    for (const index of [`${this.#root}:index`, ...owners.map((owner) => `${this.#root}:index:${owner}`)]) {
      const oldest = await this.#redis.zrange(index, '0', String(count - 1))
      const pipeline = this.#redis.pipeline()
      for (const id of oldest) pipeline.exists(`${this.#root}:execution:${id}`)
      const present = await execute(pipeline)
      const gone = oldest.filter((_id, position) => present[position] === 0)
      if (gone.length > 0) await this.#redis.zrem(index, ...gone)
      trimmed += gone.length
    }
    return trimmed
  }

  async #load(ids: readonly string[], fields: readonly RecordField[]): Promise<Array<ExecutionRecord | undefined>> {
    if (ids.length === 0) return []
    const pipeline = this.#redis.pipeline()
    for (const id of ids) {
      pipeline.hmget(`${this.#root}:execution:${id}`, ...fields).hget(`${this.#root}:log:${id}`, 'lastSeq').zrank(`${this.#root}:waiting`, id)
    }
    const answers = await execute(pipeline)
    return ids.map((id, index) => {
      const values = answers[index * 3] as Array<string | null>
      const stored: StoredFields = Object.fromEntries(fields.map((field, position) => [field, values[position]]))
      return toRecord(id, stored, Number(answers[index * 3 + 1] ?? 0), answers[index * 3 + 2] as number | null)
    })
  }
}

/** A pipeline's answers; the first error of any of its commands is thrown. */
async function execute(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}
