import type { Redis } from 'ioredis'
import { serializeWithoutSeq } from '../../events/stored-event.js'
import { defineScripts, toScriptArguments } from '../../platform/redis-scripts.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import { concludingArguments } from './concluding-events.js'
import { ExecutionReads } from './execution-reads.js'
import { toListedText } from '../records/listed-task.js'
import { toNewRecord } from './new-record.js'
import {
  toConcludeAnswer,
  toReady,
  type Answer,
  type ConcludeAnswer,
  type Conclusion,
  type NewRecord,
  type Seal,
  type ReadyExecution,
} from './transitions.js'
import { SCRIPTS } from './scripts.generated.js'

type Commands = Record<
  'ccAdvanceList' | 'ccAppendListEvent' | 'ccConcludeList',
  (root: string, args: string) => Promise<Answer>
> & {
  ccCancelList(root: string, list: string, by: string, reason: string, event: string): Promise<Answer>
}

/** What a list is told of a task that has ended, and what follows it. */
export interface Advance {
  readonly index: number
  readonly id: string
  readonly at: Date
  readonly status: string
  readonly receiptSha256: string | undefined
  readonly event: NewEvent
  /** Of the list, this task included. */
  readonly usage: Usage
  /** A list that is over is nobody else's for so long. */
  readonly holdMs?: number
  /** Absent: it was the last one. */
  readonly following?: NewRecord
}

export type AdvanceAnswer =
  | { readonly kind: 'next'; readonly ready: ReadyExecution }
  /** No other task follows: the end of the list is to be written, under this fence where the list is held. */
  | { readonly kind: 'over'; readonly fence?: string }
  /** The task goes on; somebody else was first; the list has ended. */
  | { readonly kind: 'waiting' | 'moved' | 'settled' }

/** Task lists: what is done to a list as one, each in one step that is safe to repeat. */
export class TaskListStore extends ExecutionReads {
  readonly #commands: Commands
  protected readonly retentionMs: number

  constructor(redis: Redis, prefix: string, retentionMs: number) {
    super(redis, prefix)
    this.#commands = defineScripts<Commands>(redis, SCRIPTS)
    this.retentionMs = retentionMs
  }

  /** Tells the list of a task's end, and queues the next one. */
  async advance(
    listId: string,
    { index, id, at, status, receiptSha256, event, usage, holdMs, following }: Advance,
  ): Promise<AdvanceAnswer> {
    const args = {
      list: listId,
      index,
      listed: toListedText(id, status, receiptSha256),
      event: serializeWithoutSeq(event, at, 0),
      usage: JSON.stringify(usage),
      holdMs,
      ...(following && { following: { id: following.id, ...toNewRecord(following) } }),
    }
    const [kind, claim, priority] = await this.#commands.ccAdvanceList(this.root, toScriptArguments(args))
    switch (kind) {
      case 'next': {
        const ready = toReady([following?.id ?? '', claim ?? '', priority ?? ''])
        return ready ? { kind, ready } : { kind: 'moved' }
      }
      case 'over':
        return { kind, ...(claim !== undefined && { fence: String(claim) }) }
      case 'waiting':
      case 'settled':
        return { kind }
      default:
        return { kind: 'moved' }
    }
  }

  /** Stores the request; the task that is under way, and its state. A running one has the request already. */
  async requestListCancel(
    listId: string,
    by: string,
    reason: string | undefined,
  ): Promise<{ kind: 'requested'; task?: { id: string; state: string } } | { kind: 'refused' }> {
    const data = { by, ...(reason !== undefined && { reason }) }
    const event = serializeWithoutSeq({ type: 'execution.cancel_requested', data }, new Date(await this.now()), 0)
    const [kind, id, state] = await this.#commands.ccCancelList(this.root, listId, by, reason ?? '', event)
    if (kind !== 'requested') return { kind: 'refused' }
    return { kind, ...(id && { task: { id: String(id), state: String(state) } }) }
  }

  /**
   * Tells of a hook that ran for a list, and what those before it have decided; `number` makes a tale of this holder's
   * unmistakable. False where the fence is lost.
   */
  async appendListEvent(
    listId: string,
    holder: { id: string; fence: string },
    number: number,
    event: NewEvent,
    decided: { hooksRun?: number; refusal?: Outcome } = {},
  ): Promise<boolean> {
    const { hooksRun, refusal } = decided
    const serialized = serializeWithoutSeq(event, new Date(await this.now()), 0)
    const [kind] = await this.#commands.ccAppendListEvent(
      this.root,
      toScriptArguments({
        list: listId,
        holder: holder.id,
        fence: holder.fence,
        number,
        event: serialized,
        hooksRun,
        refusal: refusal && JSON.stringify(refusal),
      }),
    )
    return kind === 'recorded'
  }

  /** Only where no other task follows, and nobody else holds the list. */
  async concludeList(
    listId: string,
    fence: string | undefined,
    conclusion: Conclusion,
    seal?: Seal,
  ): Promise<ConcludeAnswer> {
    return toConcludeAnswer(
      await this.#commands.ccConcludeList(
        this.root,
        toScriptArguments({
          id: listId,
          fence: fence ?? '',
          ...concludingArguments(conclusion, seal, this.retentionMs),
        }),
      ),
    )
  }

  /** Task lists with which somebody must go on for so long, longest waiting first. */
  async listUnsettled(sinceMs: number, count: number): Promise<string[]> {
    return this.redis.zrangebyscore(`${this.root}:unsettled`, '-inf', (await this.now()) - sinceMs, 'LIMIT', 0, count)
  }

  /** One that is gone. */
  async forgetUnsettled(listId: string): Promise<void> {
    await this.redis.zrem(`${this.root}:unsettled`, listId)
  }
}
