import type { Redis } from 'ioredis'
import type { TranscriptMark } from '../../claude/stream/transcript.js'
import type { NewEvent } from '../../protocol/events.js'
import { serializeWithoutSeq } from '../../events/stored-event.js'
import { defineScripts, toScriptArguments } from '../../platform/redis-scripts.js'
import type { Priority } from '../../protocol/execute-request.js'
import type { Usage } from '../../protocol/execution.js'
import { SandboxLevel } from '../../protocol/sandbox.js'
import { concludingArguments } from './concluding-events.js'
import { execute } from './execution-reads.js'
import { toRefusal } from '../records/plan-budget.js'
import { toNewRecord } from './new-record.js'
import {
  toConcludeAnswer,
  toReady,
  toReadyList,
  type Answer,
  type ClaimAnswer,
  type ConcludeAnswer,
  type Conclusion,
  type CreateAnswer,
  type NewRecord,
  type RequeueAnswer,
  type Retry,
  type RetryAnswer,
  type Seal,
  type SessionRefusal,
  type PendingRequests,
  type ReadyExecution,
} from './transitions.js'
import { SCRIPTS } from './scripts.generated.js'
import { TaskListStore } from './task-list-store.js'

type Script = (root: string, args: string) => Promise<Answer>
type PlainScript = (root: string, ...args: Array<string | number>) => Promise<Answer>
type Commands = Record<
  | 'ccCreate'
  | 'ccCreateList'
  | 'ccClaim'
  | 'ccStart'
  | 'ccConclude'
  | 'ccConcludeAbandoned'
  | 'ccConcludeQueued'
  | 'ccRequest'
  | 'ccRetry'
  | 'ccTakePlaces',
  Script
> &
  Record<'ccRenew' | 'ccRequeue' | 'ccWakeDue' | 'ccBlock' | 'ccUnpark' | 'ccDelete' | 'ccRetain', PlainScript> & {
    ccEnter(root: string, id: string, fence: string, state: string): Promise<string>
    ccReclaim(root: string, id: string, claim: number): Promise<string | number>
    ccListAbandoned(
      root: string,
      count: number,
      expectedNow: number | '',
      toleranceMs: number,
    ): Promise<[number, ...string[]]>
    ccDisown(root: string, name: string, before: number): Promise<number>
    ccTryLock(root: string, name: string, milliseconds: number): Promise<number>
  }

/** The records: every change is one script that checks state and fence, and writes the event that tells of it. */
export class ExecutionStore extends TaskListStore {
  readonly #commands: Commands
  /** Redis' time less our monotonic one, as it was when we last looked. */
  #redisClockOffsetMs: number | undefined
  readonly #sharedWorkspaces: readonly string[]

  constructor(
    redis: Redis,
    {
      prefix,
      retentionSeconds,
      sharedWorkspaces = [],
    }: { prefix: string; retentionSeconds: number; sharedWorkspaces?: readonly string[] },
  ) {
    super(redis, prefix, Math.ceil(retentionSeconds * 1_000))
    this.#sharedWorkspaces = sharedWorkspaces
    this.#commands = defineScripts<Commands>(redis, SCRIPTS)
  }

  /**
   * Writes the record and event 1, of a task list those of its first task, too; or says what stands against it. One
   * atomic step.
   */
  async create(record: NewRecord, maxQueue: number, firstTask?: NewRecord): Promise<CreateAnswer> {
    const { score, ...content } = toNewRecord(record)
    const { id, owner, idempotencyKey, requestDigest } = record
    const sharedWorkspaces = this.#sharedWorkspaces
    const session = record.session && { ...record.session, sharedWorkspaces }
    const admission = { id, owner, idempotencyKey, requestDigest, maxQueue, score, sharedWorkspaces, new: content }
    const [kind, second, ...more] = firstTask
      ? await this.#commands.ccCreateList(
          this.root,
          toScriptArguments({ ...admission, task: { id: firstTask.id, ...toNewRecord(firstTask) } }),
        )
      : await this.#commands.ccCreate(this.root, toScriptArguments({ ...admission, session }))
    if (kind === 'created' || kind === 'full') return { kind }
    if (kind === 'over') return { kind, refusal: toRefusal([second ?? '', ...more]) }
    // Safe: joinSession gives one of these.
    if (kind === 'refused') return { kind, refusal: { why: second as SessionRefusal['why'], detail: String(more[0]) } }
    return { kind: kind === 'replayed' ? 'replayed' : 'conflict', id: String(second) }
  }

  /** queued → starting, by a worker with this credential and sandboxes up to this one. */
  async claim(
    id: string,
    claim: number,
    workerId: string,
    leaseMs: number,
    credential: string,
    highestSandbox = SandboxLevel.options.length - 1,
  ): Promise<ClaimAnswer> {
    const [kind, ...more] = await this.#commands.ccClaim(
      this.root,
      toScriptArguments({ id, claim: String(claim), workerId, leaseMs, credential, highestSandbox }),
    )
    const [second, lastSeq, attempt, storedBytes, ...ready] = more
    switch (kind) {
      case 'claimed':
        return {
          kind,
          fence: String(second),
          lastSeq: Number(lastSeq),
          attempt: Number(attempt),
          storedBytes: Number(storedBytes),
          ...toReadyList(ready),
        }
      case 'blocked':
        return { kind, waitMs: Number(second) }
      case 'parked':
        return { kind, ...toReadyList(more) }
      case 'expired':
      case 'unsuited':
        return { kind }
      default:
        return { kind: 'refused', state: String(second) }
    }
  }

  /**
   * The folder in which it will work, as its worker found it, is its own until its end; where somebody has it, it waits
   * (starting → queued). `ready`: those whose turn has come.
   */
  async takePlaces(
    id: string,
    fence: string,
    places: readonly string[],
  ): Promise<{ kind: 'taken' | 'parked' | 'cancelled' | 'stale' | 'refused'; ready?: readonly ReadyExecution[] }> {
    const [kind, ...ready] = await this.#commands.ccTakePlaces(this.root, toScriptArguments({ id, fence, places }))
    if (kind === 'taken' || kind === 'parked') return { kind, ...toReadyList(ready) }
    return { kind: kind === 'cancelled' || kind === 'stale' ? kind : 'refused' }
  }

  /**
   * starting → running, under the fence; the CLI may be let go only after this. `listEvent`: what goes into the log of
   * a list with the first start of its task.
   */
  async start(
    id: string,
    fence: string,
    fields: {
      startedAt: Date
      attempt: number
      sessionId: string
      mark?: TranscriptMark | undefined
      simulated: boolean
    },
    event: NewEvent,
    listEvent?: NewEvent,
  ): Promise<{ kind: 'started'; lastSeq: number } | { kind: 'stale' | 'cancelled' }> {
    const stored = {
      ...(fields.attempt === 1 && { startedAt: String(fields.startedAt.getTime()) }),
      attempt: String(fields.attempt),
      sessionId: fields.sessionId,
      simulated: fields.simulated ? '1' : '0',
      ...(fields.mark && { sessionMark: JSON.stringify(fields.mark) }),
    }
    const [kind, lastSeq] = await this.#commands.ccStart(
      this.root,
      toScriptArguments({
        id,
        fence,
        fields: stored,
        event: serializeWithoutSeq(event, fields.startedAt, fields.attempt),
        listEvent: listEvent && serializeWithoutSeq(listEvent, fields.startedAt, 0),
      }),
    )
    if (kind === 'started') return { kind, lastSeq: Number(lastSeq) }
    return { kind: kind === 'cancelled' ? 'cancelled' : 'stale' }
  }

  /** Extends the lease and tells what is requested; undefined when the fence is lost. */
  async renew(id: string, fence: string, leaseMs: number, usage?: Usage): Promise<PendingRequests | undefined> {
    const [kind, ...requests] = await this.#commands.ccRenew(
      this.root,
      id,
      fence,
      Math.ceil(leaseMs),
      usage ? JSON.stringify(usage) : '',
    )
    if (kind !== 'ok') return undefined
    const [cancelBy, cancelReason, pauseWanted, pauseBy, pauseReason] = requests.map(String)
    return {
      ...(cancelBy && { cancel: { by: cancelBy, ...(cancelReason && { reason: cancelReason }) } }),
      ...(pauseWanted && {
        pause: { wanted: pauseWanted === '1', by: pauseBy ?? '', ...(pauseReason && { reason: pauseReason }) },
      }),
    }
  }

  /** running ⇄ paused by the holder of the fence. */
  async enter(id: string, fence: string, state: 'running' | 'paused'): Promise<boolean> {
    return (await this.#commands.ccEnter(this.root, id, fence, state)) === 'ok'
  }

  async conclude(id: string, fence: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(
      await this.#commands.ccConclude(
        this.root,
        toScriptArguments({ id, fence, ...concludingArguments(conclusion, seal, this.retentionMs) }),
      ),
    )
  }

  /** Only where the lease is over. */
  async concludeAbandoned(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(
      await this.#commands.ccConcludeAbandoned(
        this.root,
        toScriptArguments({ id, ...concludingArguments(conclusion, seal, this.retentionMs) }),
      ),
    )
  }

  /** Only where nobody has claimed it. */
  async concludeQueued(id: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(
      await this.#commands.ccConcludeQueued(
        this.root,
        toScriptArguments({ id, ...concludingArguments(conclusion, seal, this.retentionMs) }),
      ),
    )
  }

  async request(
    id: string,
    request: { kind: 'cancel' } | { kind: 'pause'; wanted: boolean },
    by: string,
    reason: string | undefined,
  ): Promise<{ kind: 'requested' | 'known' } | { kind: 'refused'; state: string }> {
    const [kind, state] = await this.#commands.ccRequest(
      this.root,
      toScriptArguments({ id, ...request, by, reason: reason ?? '' }),
    )
    if (kind === 'requested' || kind === 'known') return { kind }
    return { kind: 'refused', state: String(state) }
  }

  /** starting → queued; without a fence only where the lease is over. */
  async requeue(id: string, fence: string | undefined, limit: number): Promise<RequeueAnswer> {
    const [kind, second, third] = await this.#commands.ccRequeue(this.root, id, fence ?? '', limit)
    switch (kind) {
      case 'requeued':
        return { kind, ready: { executionId: id, claim: Number(second), priority: third as Priority } }
      case 'cancelled':
        return { kind, by: String(second), ...(third && { reason: String(third) }) }
      default:
        return { kind: kind === 'exhausted' ? 'exhausted' : 'refused' }
    }
  }

  /** running → queued: another attempt follows; without a fence only where the lease is over. */
  async retry(id: string, fence: string | undefined, retry: Retry): Promise<RetryAnswer> {
    const { reason, message, usage, attempt, failedStarts, spared, at, notBefore, queueDeadline } = retry
    const fields = {
      usage: JSON.stringify(usage),
      earlierUsage: JSON.stringify(usage),
      spared: String(spared),
      // How the next one begins depends on the last that has started.
      ...(failedStarts === undefined ? { retryReason: reason } : { failedStarts: String(failedStarts) }),
    }
    const data = { reason, nextAttempt: attempt + 1, ...(notBefore && { notBefore: notBefore.toISOString() }), message }
    const event = serializeWithoutSeq({ type: 'execution.retrying', data }, at, attempt)
    const [kind, second, third] = await this.#commands.ccRetry(
      this.root,
      toScriptArguments({
        id,
        fence,
        fields,
        event,
        notBefore: notBefore?.getTime(),
        queueDeadline: queueDeadline?.getTime(),
      }),
    )
    switch (kind) {
      case 'retrying':
        return { kind, ready: { executionId: id, claim: Number(second), priority: third as Priority } }
      case 'cancelled':
        return { kind, by: String(second), ...(third && { reason: String(third) }) }
      case 'stale':
      case 'alive':
        return { kind }
      default:
        return { kind: 'refused', state: String(second) }
    }
  }

  /** To be called soon after the start: who does not know how the clock went takes a jump for the truth. */
  async syncClock(): Promise<void> {
    this.#redisClockOffsetMs ??= (await this.now()) - performance.now()
  }

  /**
   * Claimed executions whose lease is over, by a clock that goes evenly: where it has jumped by more than half a lease,
   * all leases begin anew.
   */
  async listAbandoned(count: number, leaseMs: number): Promise<{ ids: string[]; jumpedMs: number }> {
    const before = this.#redisClockOffsetMs
    const toleranceMs = Math.ceil(leaseMs / 2)
    const expected = before === undefined ? '' : Math.round(performance.now() + before)
    const [now, ...ids] = await this.#commands.ccListAbandoned(this.root, count, expected, toleranceMs)
    this.#redisClockOffsetMs = now - performance.now()
    const jumpedMs = expected === '' ? 0 : now - expected
    return { ids, jumpedMs: Math.abs(jumpedMs) > toleranceMs ? jumpedMs : 0 }
  }

  /** The next execution whose time has come; undefined when there is none. */
  async wakeDue(): Promise<ReadyExecution | undefined> {
    return toReady(await this.#commands.ccWakeDue(this.root))
  }

  /** Workers with this credential take nothing until then. */
  async blockCredential(credential: string, until: Date): Promise<void> {
    await this.#commands.ccBlock(this.root, credential, until.getTime())
  }

  /** A new claim for a queued record whose job was lost; undefined where it has moved on meanwhile. */
  async reclaim(id: string, claim: number): Promise<number | undefined> {
    const answer = await this.#commands.ccReclaim(this.root, id, claim)
    return answer === '' ? undefined : Number(answer)
  }

  async unpark(id: string): Promise<ReadyExecution | undefined> {
    return toReady(await this.#commands.ccUnpark(this.root, id))
  }

  async delete(
    id: string,
    owner: string,
  ): Promise<{ kind: 'deleted'; claim: number } | { kind: 'refused'; state: string }> {
    const [kind, second] = await this.#commands.ccDelete(this.root, id, owner)
    return kind === 'deleted' ? { kind, claim: Number(second) } : { kind: 'refused', state: String(second) }
  }

  /**
   * Forgets the oldest finished executions, at most so many now, as long as all take more bytes, or are more, than
   * that; which those were.
   */
  async retain(
    { bytes, executions }: { bytes: number; executions: number },
    count: number,
  ): Promise<Array<{ id: string; claim: number }>> {
    const answer = await this.#commands.ccRetain(this.root, bytes, executions, count)
    return Array.from({ length: answer.length / 2 }, (_, index) => ({
      id: String(answer[index * 2]),
      claim: Number(answer[index * 2 + 1]),
    }))
  }

  /** One process at a time does the housekeeping. */
  async tryLock(name: string, milliseconds: number): Promise<boolean> {
    return (await this.#commands.ccTryLock(this.root, name, milliseconds)) === 1
  }

  /** Named workspaces that have an owner and that no submission has named since. */
  listUnusedWorkspaces(before: number, count: number): Promise<string[]> {
    return this.redis.zrangebyscore(`${this.root}:workspaces-used`, '-inf', before, 'LIMIT', 0, count)
  }

  /** Looked at again when the same time has passed once more. */
  async keepOwner(workspace: string, now: number): Promise<void> {
    await this.redis.zadd(`${this.root}:workspaces-used`, 'XX', 'GT', now, workspace)
  }

  /** Whoever names it next makes it anew. Not where it was used meanwhile. */
  async disown(workspace: string, before: number): Promise<void> {
    await this.#commands.ccDisown(this.root, workspace, before)
  }

  /** Takes ids whose record has expired out of the indexes, oldest first; returns how many. */
  async trimIndexes(count: number): Promise<number> {
    const owners = await this.redis.smembers(`${this.root}:owners`)
    let trimmed = 0
    for (const index of [`${this.root}:index`, ...owners.map((owner) => `${this.root}:index:${owner}`)]) {
      const oldest = await this.redis.zrange(index, '0', String(count - 1))
      const pipeline = this.redis.pipeline()
      for (const id of oldest) pipeline.exists(`${this.root}:execution:${id}`)
      const present = await execute(pipeline)
      const gone = oldest.filter((_id, position) => present[position] === 0)
      if (gone.length > 0) await this.redis.zrem(index, ...gone)
      trimmed += gone.length
    }
    return trimmed
  }
}
