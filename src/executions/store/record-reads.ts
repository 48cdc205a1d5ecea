import { unpackJson } from '../../platform/packed-json.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import type { ExecutionState } from '../records/execution-state.js'
import { toListedTask, type ListedTask } from '../records/listed-task.js'
import type { ExecutionRecord, OwnTurn, ShownRecord } from '../records/execution-record.js'
import {
  ALL_FIELDS,
  LISTED_FIELDS,
  SHOWN_FIELDS,
  toRecord,
  toTrace,
  type RecordField,
  type StoredFields,
} from '../records/stored-fields.js'
import type { ListReply, PositionReply } from './record-scripts.js'
import { execute, type StoreContext } from './store-context.js'

/** The records and their lists, as they are read without changing anything. */
export interface RecordReads {
  now: StoreContext['now']
  recentNow: StoreContext['recentNow']
  get(id: string): Promise<ExecutionRecord | undefined>
  ownerOf(id: string): Promise<string | undefined>
  /** Records without their long texts; ids that have none are left out. */
  getMany(ids: readonly string[]): Promise<ExecutionRecord[]>
  /**
   * As `get`, where what is read of the record is no older than what is read of the tasks: its usage has at least all
   * that they tell of.
   */
  getTaskList(id: string): Promise<ExecutionRecord | undefined>
  /** The ids of a list's tasks, as far as they exist, in order. */
  listTaskIds(listId: string): Promise<string[]>
  exists(id: string): Promise<boolean>
  /** Whether its folders are still needed: by itself, or by others that continue its conversation. */
  needsFolders(id: string): Promise<boolean>
  /** Of the whole requests, as they are stored; 0 of one that is not there. */
  sizesOfRequests(ids: readonly string[]): Promise<number[]>
  /** Whole, as `get` has them; undefined of one that is not there. */
  readRequests(ids: readonly string[]): Promise<Array<ExecuteRequest | undefined>>
  /** The receipt's text, as it was signed. */
  getReceipt(id: string): Promise<string | undefined>
  /** Every public key that has signed a receipt here, as JSON. */
  listReceiptKeys(): Promise<string[]>
  /**
   * The executions of an owner, newest first, strictly older than `before` and not older than `notBefore` (both as
   * UUIDv7 bounds); without a record where it has just gone.
   */
  list(owner: string, bounds: { before?: string; notBefore?: string; count: number }): Promise<Listed[]>
}

/** A row of a list. */
export interface Listed {
  readonly id: string
  readonly record: ShownRecord | undefined
}

/** Its place in the queue, and where its owner may have only so many at work, that among its owner's. */
interface QueueTurn {
  readonly position: number
  readonly own: OwnTurn | undefined
}

interface Loaded {
  readonly id: string
  readonly stored: StoredFields
  readonly lastSeq: number
  readonly turn: QueueTurn | undefined
}

function toTurn([position, place, limit = 0, active = 0]: PositionReply): QueueTurn | undefined {
  if (position === undefined) return undefined
  return { position, own: place === undefined ? undefined : { place, limit, active } }
}

const toLoadedRecord = ({ id, stored, lastSeq, turn }: Loaded): ExecutionRecord | undefined => {
  const record = toRecord(id, stored, lastSeq, turn?.position)
  // Not a copy: a record has 50 fields, a page 50 records.
  return record && Object.assign(record, { ownTurn: turn?.own })
}

/** As list.lua answers: of each row so many values, the last of them a list that begins with what it reads itself. */
const LISTED_VALUES = 5
const READ_BY_SCRIPT = 3
type ListedValues = [
  id: string,
  lastSeq: number,
  turn: PositionReply,
  request: string | null,
  values: Array<string | null>,
]

function toListed(owner: string, reply: ListReply): Listed[] {
  const listed: Listed[] = []
  for (let start = 0; start < reply.length; start += LISTED_VALUES) {
    // Safe: as list.lua answers.
    const [id, lastSeq, turn, shortRequest, values] = reply.slice(start, start + LISTED_VALUES) as ListedValues
    const stored: StoredFields = { state: values[0], shortRequest, owner }
    for (const [index, field] of SHOWN_FIELDS.entries()) stored[field] = values[READ_BY_SCRIPT + index]
    listed.push({ id, record: toLoadedRecord({ id, stored, lastSeq, turn: toTurn(turn) }) })
  }
  return listed
}

export function createRecordReads({ redis, root, run, now, recentNow, onTrace }: StoreContext): RecordReads {
  async function load(ids: readonly string[], fields: readonly RecordField[]): Promise<Loaded[]> {
    if (ids.length === 0) return []
    const pipeline = redis.pipeline()
    for (const id of ids) pipeline.hmget(`${root}:execution:${id}`, ...fields).hget(`${root}:log:${id}`, 'lastSeq')
    const answers = await execute(pipeline)
    const found = ids.map((id, index) => {
      const values = answers[index * 2] as Array<string | null>
      const stored: StoredFields = {}
      for (const [position, field] of fields.entries()) stored[field] = values[position]
      const trace = onTrace && toTrace(stored)
      if (trace) onTrace(id, trace)
      return { id, stored, lastSeq: Number(answers[index * 2 + 1] ?? 0) }
    })
    const turns = await readTurns(found.filter(({ stored }) => stored.state === 'queued').map(({ id }) => id))
    return found.map((loaded) => ({ ...loaded, turn: turns.get(loaded.id) }))
  }

  async function readTurns(ids: readonly string[]): Promise<ReadonlyMap<string, QueueTurn | undefined>> {
    if (ids.length === 0) return new Map()
    const replies = await run('ccPositions', ...ids)
    return new Map(ids.map((id, index) => [id, toTurn(replies[index] ?? [])]))
  }

  async function readTexts(ids: readonly string[]): Promise<Array<string | null>> {
    if (ids.length === 0) return []
    const pipeline = redis.pipeline()
    for (const id of ids) pipeline.hget(`${root}:execution:${id}`, 'request')
    return (await execute(pipeline)) as Array<string | null>
  }

  /** Small requests are stored once. */
  async function addRequests(loaded: readonly Loaded[]): Promise<void> {
    const small = loaded.filter(({ stored }) => stored.state && !stored.shortRequest)
    const requests = await readTexts(small.map(({ id }) => id))
    for (const [index, { stored }] of small.entries()) stored.shortRequest = requests[index]
  }

  async function loadOne(id: string): Promise<ExecutionRecord | undefined> {
    const [loaded] = await load([id], ALL_FIELDS)
    return loaded && toLoadedRecord(loaded)
  }

  async function loadTasks(listId: string): Promise<ListedTask[]> {
    const texts = await redis.hgetall(`${root}:tasks:${listId}`)
    const indexes = Object.keys(texts)
      .map(Number)
      .sort((one, other) => one - other)
    const last = indexes.at(-1)
    if (last === undefined) return []
    const tasks = indexes.map((index) => toListedTask(index, texts[index] ?? '', undefined))
    // Only the last one may still be under way.
    const state =
      tasks[last]?.isRecorded === false ? await redis.hget(`${root}:execution:${tasks[last].id}`, 'state') : undefined
    // Safe: the scripts write nothing else there.
    return state ? tasks.with(last, toListedTask(last, texts[last] ?? '', state as ExecutionState)) : tasks
  }

  return {
    now,
    recentNow,
    async get(id) {
      const record = await loadOne(id)
      return record?.kind === 'task_list' ? { ...record, tasks: await loadTasks(id) } : record
    },
    async ownerOf(id) {
      return (await redis.hget(`${root}:execution:${id}`, 'owner')) ?? undefined
    },
    async getMany(ids) {
      const loaded = await load(ids, LISTED_FIELDS)
      await addRequests(loaded)
      return loaded.map(toLoadedRecord).filter((record) => record !== undefined)
    },
    async getTaskList(id) {
      const tasks = await loadTasks(id)
      const record = await loadOne(id)
      return record?.kind === 'task_list' ? { ...record, tasks } : undefined
    },
    async listTaskIds(listId) {
      return (await loadTasks(listId)).map(({ id }) => id)
    },
    async exists(id) {
      return (await redis.exists(`${root}:execution:${id}`)) === 1
    },
    async needsFolders(id) {
      return (await redis.exists(`${root}:execution:${id}`, `${root}:folders:${id}`)) > 0
    },
    async sizesOfRequests(ids) {
      if (ids.length === 0) return []
      const pipeline = redis.pipeline()
      for (const id of ids) pipeline.hstrlen(`${root}:execution:${id}`, 'request')
      return (await execute(pipeline)).map(Number)
    },
    async readRequests(ids) {
      // Safe: toNewRecord wrote it.
      return (await readTexts(ids)).map((text) => (text ? (JSON.parse(text) as ExecuteRequest) : undefined))
    },
    async getReceipt(id) {
      const receipt = await redis.hgetBuffer(`${root}:execution:${id}`, 'receipt')
      return receipt ? unpackJson(receipt).toString() : undefined
    },
    listReceiptKeys() {
      return redis.hvals(`${root}:receipt-keys`)
    },
    async list(owner, { before, notBefore, count }) {
      const newest = before === undefined ? '+' : `(${before}`
      const oldest = notBefore === undefined ? '-' : `[${notBefore}`
      return toListed(owner, await run('ccList', owner, newest, oldest, count, ...SHOWN_FIELDS))
    },
  }
}
