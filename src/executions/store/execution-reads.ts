import type { Redis } from 'ioredis'
import { keyRoot } from '../../platform/redis.js'
import type { Priority } from '../../protocol/execute-request.js'
import type { ExecutionState } from '../records/execution-state.js'
import { toListedTask, type ListedTask } from '../records/listed-task.js'
import {
  ALL_FIELDS,
  LISTED_FIELDS,
  toRecord,
  type ExecutionRecord,
  type RecordField,
  type StoredFields,
} from '../records/execution-record.js'

/** Sorts by priority first, then by time; stays far below 2^53. */
const PRIORITY_STEP = 1e14
const PRIORITY_RANK: Record<Priority, number> = { high: 0, normal: 1, low: 2 }

/** Where an execution stands in the queue: the score of `waiting`, `parked` and `delayed`. */
export const toScore = (priority: Priority, createdAt: number): number =>
  PRIORITY_RANK[priority] * PRIORITY_STEP + createdAt

/** What is read of the records and their lists, without changing anything. */
export class ExecutionReads {
  protected readonly redis: Redis
  protected readonly root: string

  constructor(redis: Redis, prefix: string) {
    this.redis = redis
    this.root = keyRoot(prefix)
  }

  async get(id: string): Promise<ExecutionRecord | undefined> {
    const [record] = await this.#load([id], ALL_FIELDS)
    return record?.kind === 'task_list' ? { ...record, tasks: await this.#loadTasks(id) } : record
  }

  /**
   * As `get`, where what is read of the record is no older than what is read of the tasks: its usage has at least all
   * that they tell of.
   */
  async getTaskList(id: string): Promise<ExecutionRecord | undefined> {
    const tasks = await this.#loadTasks(id)
    const [record] = await this.#load([id], ALL_FIELDS)
    return record?.kind === 'task_list' ? { ...record, tasks } : undefined
  }

  /** The ids of a list's tasks, as far as they exist, in order. */
  async listTaskIds(listId: string): Promise<string[]> {
    return (await this.#loadTasks(listId)).map(({ id }) => id)
  }

  async #loadTasks(listId: string): Promise<ListedTask[]> {
    const texts = await this.redis.hgetall(`${this.root}:tasks:${listId}`)
    const indexes = Object.keys(texts)
      .map(Number)
      .sort((one, other) => one - other)
    const last = indexes.at(-1)
    if (last === undefined) return []
    const tasks = indexes.map((index) => toListedTask(index, texts[index] ?? '', undefined))
    // Only the last one may still be under way.
    const state =
      tasks[last]?.isRecorded === false
        ? await this.redis.hget(`${this.root}:execution:${tasks[last].id}`, 'state')
        : undefined
    // Safe: the scripts write nothing else there.
    return state ? tasks.with(last, toListedTask(last, texts[last] ?? '', state as ExecutionState)) : tasks
  }

  /** Records without their long texts; ids that have none are left out. */
  async getMany(ids: readonly string[]): Promise<ExecutionRecord[]> {
    return (await this.#load(ids, LISTED_FIELDS)).filter((record) => record !== undefined)
  }

  /**
   * Milliseconds since the epoch by Redis' clock: the only one by which processes compare times, since theirs may
   * differ or jump.
   */
  async now(): Promise<number> {
    const [seconds, microseconds] = await this.redis.time()
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
  }

  async exists(id: string): Promise<boolean> {
    return (await this.redis.exists(`${this.root}:execution:${id}`)) === 1
  }

  /** Whether its folders are still needed: by itself, or by others that go on with its conversation. */
  async needsFolders(id: string): Promise<boolean> {
    return (await this.redis.exists(`${this.root}:execution:${id}`, `${this.root}:folders:${id}`)) > 0
  }

  /** The receipt's text, as it was signed. */
  async getReceipt(id: string): Promise<string | undefined> {
    return (await this.redis.hget(`${this.root}:execution:${id}`, 'receipt')) ?? undefined
  }

  /** Every public key that has signed a receipt here, as JSON. */
  listReceiptKeys(): Promise<string[]> {
    return this.redis.hvals(`${this.root}:receipt-keys`)
  }

  /**
   * Ids of an owner, newest first, strictly older than `before` and not older than `notBefore` (both as UUIDv7 bounds).
   */
  async listIds(owner: string, bounds: { before?: string; notBefore?: string; count: number }): Promise<string[]> {
    const newest = bounds.before === undefined ? '+' : `(${bounds.before}`
    const oldest = bounds.notBefore === undefined ? '-' : `[${bounds.notBefore}`
    return this.redis.zrevrangebylex(`${this.root}:index:${owner}`, newest, oldest, 'LIMIT', 0, bounds.count)
  }

  /** Queued executions whose queue timeout is over. */
  async listOverdue(count: number): Promise<string[]> {
    return this.redis.zrangebyscore(`${this.root}:deadlines`, '-inf', await this.now(), 'LIMIT', 0, count)
  }

  listWaiting(count: number): Promise<string[]> {
    return this.redis.zrange(`${this.root}:waiting`, '0', String(count - 1))
  }

  listParked(count: number): Promise<string[]> {
    return this.redis.zrange(`${this.root}:parked`, '0', String(count - 1))
  }

  /** How many wait by priority, how many of them for a workspace or for a time, and which have started. */
  async count(): Promise<{ byPriority: Record<Priority, number>; parked: number; delayed: number; active: string[] }> {
    const lists = ['waiting', 'parked', 'delayed'].map((name) => `${this.root}:${name}`)
    const pipeline = this.redis.pipeline()
    for (const key of lists) {
      for (const rank of Object.values(PRIORITY_RANK))
        pipeline.zcount(key, rank * PRIORITY_STEP, `(${(rank + 1) * PRIORITY_STEP}`)
    }
    const answers = await execute(pipeline.zrange(`${this.root}:leases`, '0', '-1'))
    const at = (list: number, rank: number): number => Number(answers[list * 3 + rank] ?? 0)
    const of = (rank: number): number => at(0, rank) + at(1, rank) + at(2, rank)
    const all = (list: number): number => at(list, 0) + at(list, 1) + at(list, 2)
    return {
      byPriority: { high: of(PRIORITY_RANK.high), normal: of(PRIORITY_RANK.normal), low: of(PRIORITY_RANK.low) },
      parked: all(1),
      delayed: all(2),
      // Safe: what ZRANGE answers.
      active: (answers[9] as string[] | undefined) ?? [],
    }
  }

  /** Credentials whose limit is reached, and until when. */
  async listBlocked(): Promise<Array<{ credential: string; until: Date }>> {
    const answer = await this.redis.zrange(
      `${this.root}:blocked`,
      `(${await this.now()}`,
      '+inf',
      'BYSCORE',
      'WITHSCORES',
    )
    const blocked: Array<{ credential: string; until: Date }> = []
    for (let index = 0; index < answer.length; index += 2)
      blocked.push({ credential: answer[index] ?? '', until: new Date(Number(answer[index + 1])) })
    return blocked
  }

  async #load(ids: readonly string[], fields: readonly RecordField[]): Promise<Array<ExecutionRecord | undefined>> {
    if (ids.length === 0) return []
    const pipeline = this.redis.pipeline()
    for (const id of ids) {
      pipeline
        .hmget(`${this.root}:execution:${id}`, ...fields)
        .hget(`${this.root}:log:${id}`, 'lastSeq')
        .zrank(`${this.root}:waiting`, id)
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
export async function execute(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}
