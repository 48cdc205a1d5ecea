import type { Redis } from 'ioredis'
import { serializeWithoutSeq } from '../events/stored-event.js'
import type { NewEvent } from '../protocol/events.js'
import type { Usage } from '../protocol/execution.js'
import { concludingArguments } from './concluding-events.js'
import { ExecutionReads } from './execution-reads.js'
import { toListedText } from './listed-task.js'
import { newRecordArguments } from './new-record.js'
import { toConcludeAnswer, toWoken, type Answer, type ConcludeAnswer, type Conclusion, type NewRecord, type Seal, type Woken } from './store-answers.js'
import * as scripts from './task-list-scripts.js'

type Commands = Record<'ccAdvance' | 'ccCancelList' | 'ccConcludeList', (root: string, ...args: Array<string | number>) => Promise<Answer>>

const SCRIPTS: Record<keyof Commands, string> = {
  ccAdvance: scripts.ADVANCE_LUA,
  ccCancelList: scripts.CANCEL_LIST_LUA,
  ccConcludeList: scripts.CONCLUDE_LIST_LUA,
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
  /** Absent: it was the last one. */
  readonly following?: NewRecord
}

export type AdvanceAnswer =
  | { readonly kind: 'next'; readonly woken: Woken }
  /** No other task follows: the end of the list is to be written. */
  | { readonly kind: 'over' }
  /** The task goes on; somebody else was first; the list has ended. */
  | { readonly kind: 'waiting' | 'moved' | 'settled' }

/** Task lists: what is done to a list as one, each in one step that is safe to repeat. */
export class TaskListStore extends ExecutionReads {
  readonly #commands: Commands
  protected readonly retentionMs: number

  constructor(redis: Redis, prefix: string, retentionMs: number) {
    super(redis, prefix)
    for (const [name, lua] of Object.entries(SCRIPTS)) redis.defineCommand(name, { numberOfKeys: 1, lua })
    // defineCommand adds these methods at run time; ioredis has no types for them.
    this.#commands = redis as unknown as Commands
    this.retentionMs = retentionMs
  }

  /** Tells the list of a task's end, and queues the next one. */
  async advance(listId: string, { index, id, at, status, receiptSha256, event, usage, following }: Advance): Promise<AdvanceAnswer> {
    const next = following ? [following.id, ...newRecordArguments(following)] : ['']
    const [kind, claim, priority] = await this.#commands.ccAdvance(
      this.root, listId, index, toListedText(id, status, receiptSha256), serializeWithoutSeq(event, at, 0), JSON.stringify(usage), ...next,
    )
    switch (kind) {
      case 'next': {
        const woken = toWoken([following?.id ?? '', claim ?? '', priority ?? ''])
        return woken ? { kind, woken } : { kind: 'moved' }
      }
      case 'over':
      case 'waiting':
      case 'settled':
        return { kind }
      default:
        return { kind: 'moved' }
    }
  }

  /** Stores the wish; the task that is under way, and its state. A running one has the wish already. */
  async wishListCancelled(listId: string, by: string, reason: string | undefined): Promise<{ kind: 'wished'; task?: { id: string; state: string } } | { kind: 'refused' }> {
    const data = { by, ...(reason !== undefined && { reason }) }
    const event = serializeWithoutSeq({ type: 'execution.cancel_requested', data }, new Date(await this.now()), 0)
    const [kind, id, state] = await this.#commands.ccCancelList(this.root, listId, by, reason ?? '', event)
    if (kind !== 'wished') return { kind: 'refused' }
    return { kind, ...(id && { task: { id: String(id), state: String(state) } }) }
  }

  /** Only where no other task follows. */
  async concludeList(listId: string, conclusion: Conclusion, seal?: Seal): Promise<ConcludeAnswer> {
    return toConcludeAnswer(await this.#commands.ccConcludeList(this.root, listId, ...concludingArguments(conclusion, seal, this.retentionMs)))
  }

  /** Task lists with which somebody must go on, longest waiting first. */
  listUnsettled(count: number): Promise<string[]> {
    return this.redis.zrange(`${this.root}:unsettled`, '0', String(count - 1))
  }

  /** One that is gone. */
  async forgetUnsettled(listId: string): Promise<void> {
    await this.redis.zrem(`${this.root}:unsettled`, listId)
  }
}
