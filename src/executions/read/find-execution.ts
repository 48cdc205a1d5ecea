import { isTerminal, type Execution } from '../../protocol/execution.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import { isExecutionId } from '../../protocol/ids.js'
import type { ExecutionFilters, ExecutionPage } from '../../protocol/listing.js'
import { joinSignals, sleep } from '../../platform/abort-signals.js'
import { fromStore } from '../../platform/redis.js'
import { toExecution, type ExecutionRecord, type ShownRecord } from '../records/execution-record.js'
import { awaitOwed } from './await-owed.js'
import { showExecution, showExecutions } from './expected-start.js'
import { openPromptSearch } from './search-prompts.js'
import { isParked, toStatus } from '../records/execution-state.js'
import type { FollowServices, ReadServices } from '../services.js'
import { mayWatch, type Caller } from '../../protocol/caller.js'

const DEFAULT_LIMIT = 50
/** Ids read from the index at once while filtering. */
const SCAN_CHUNK = 200
/**
 * A page looks at so many executions at most; its cursor leads on from there, so a rare label costs pages and not
 * seconds.
 */
const SCAN_LIMIT = 5_000

/** The record, if it is the caller's; somebody else's is as good as none. @throws ExecutorError EXECUTION_NOT_FOUND */
export async function requireExecution({ store }: ReadServices, id: string, caller: Caller): Promise<ExecutionRecord> {
  let record = isExecutionId(id) ? await fromStore(store.get(id)) : undefined
  if (!record && (await fromStore(awaitOwed(store, id, caller)))) record = await fromStore(store.get(id))
  if (!record || !mayWatch(record, caller)) throw toNotFound(id)
  return record
}

/** The same where nothing of the record is needed. */
export async function requireOwn({ store }: ReadServices, id: string, caller: Caller): Promise<void> {
  let owner = isExecutionId(id) ? await fromStore(store.ownerOf(id)) : undefined
  if (owner === undefined && (await fromStore(awaitOwed(store, id, caller)))) owner = await fromStore(store.ownerOf(id))
  if (owner === undefined || !mayWatch({ id, owner }, caller)) throw toNotFound(id)
}

export const toNotFound = (id: string): ExecutorError =>
  new ExecutorError('EXECUTION_NOT_FOUND', {
    detail: `There is no execution ${id.slice(0, 100)}, or it was deleted.`,
  })

export async function getExecution(services: ReadServices, id: string, caller: Caller): Promise<Execution> {
  return showExecution(services, await requireExecution(services, id, caller))
}

/** The smallest UUIDv7 of a time: ids compare like their times. */
function lowestIdAt(time: string): string {
  const hex = Math.max(0, Date.parse(time)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`
}

function matches(record: ShownRecord, { status, metadata, kind, scheduleId }: ExecutionFilters): boolean {
  if (scheduleId !== undefined && record.scheduleId !== scheduleId) return false
  if (kind && record.kind !== kind) return false
  if (status && !status.includes(toStatus(record.state))) return false
  return Object.entries(metadata ?? {}).every(([label, value]) => record.metadata[label] === value)
}

const isWithin = ({ createdAt }: ExecutionRecord, { createdAfter, createdBefore }: ExecutionFilters): boolean =>
  (createdAfter === undefined || createdAt >= Date.parse(createdAfter)) &&
  (createdBefore === undefined || createdAt < Date.parse(createdBefore))

const isSelective = ({ status, metadata, kind, scheduleId, q }: ExecutionFilters): boolean =>
  [kind, status, scheduleId, q].some((filter) => filter !== undefined) || Object.keys(metadata ?? {}).length > 0

/** Those that have the text, where one is asked for: see PromptSearch. */
function searchOf({ store }: ReadServices, { q }: ExecutionFilters): ReturnType<typeof openPromptSearch> {
  if (q !== undefined) return openPromptSearch(store, q)
  return { find: async (records) => ({ found: [...records], lookedAt: records.length }) }
}

/** The tasks of a list, newest first. There are 500 at most, so they are looked at all at once. */
async function listTasks(
  services: ReadServices,
  parentId: string,
  filters: ExecutionFilters,
  caller: Caller,
): Promise<ExecutionPage> {
  const list = await requireExecution(services, parentId, caller)
  const limit = filters.limit ?? DEFAULT_LIMIT
  const { cursor } = filters
  const ids = (list.tasks ?? []).map(({ id }) => id).toReversed()
  const fitting = (
    await fromStore(services.store.getMany(cursor === undefined ? ids : ids.slice(ids.indexOf(cursor) + 1)))
  ).filter((record) => matches(record, filters) && isWithin(record, filters))
  const { found, lookedAt } = await searchOf(services, filters).find(fitting)
  const last = found.length > limit ? found[limit - 1] : lookedAt < fitting.length ? fitting[lookedAt - 1] : undefined
  return { executions: found.slice(0, limit).map(toExecution), nextCursor: last?.id ?? null }
}

/** All that is there for a token of one execution. */
async function listOnly(services: ReadServices, id: string, filters: ExecutionFilters): Promise<ExecutionPage> {
  const isAsked = filters.cursor === undefined || id < filters.cursor
  const records = isAsked ? await fromStore(services.store.getMany([id])) : []
  const fitting = records.filter(
    (record) =>
      matches(record, filters) &&
      isWithin(record, filters) &&
      (filters.parentId === undefined || filters.parentId === record.parentId),
  )
  const { found } = await searchOf(services, filters).find(fitting)
  return { executions: await showExecutions(services, found), nextCursor: null }
}

/**
 * The caller's executions, newest first; tasks only by their list, or parked ones by their status. A page may be
 * shorter than its limit while `nextCursor` leads on.
 */
export async function listExecutions(
  services: ReadServices,
  filters: ExecutionFilters,
  caller: Caller,
): Promise<ExecutionPage> {
  const { store } = services
  if (caller.executionId !== undefined) return listOnly(services, caller.executionId, filters)
  if (filters.parentId !== undefined) return listTasks(services, filters.parentId, filters, caller)
  if (filters.kind === 'task' && !filters.status?.every(isParked))
    throw toInvalidRequest([
      {
        path: 'kind',
        message: 'tasks are listed by parentId, the id of their list, or by status where they are parked',
      },
    ])
  const limit = filters.limit ?? DEFAULT_LIMIT
  const show = (records: readonly ShownRecord[]) => showExecutions(services, records)
  const upper = filters.createdBefore === undefined ? undefined : lowestIdAt(filters.createdBefore)
  const notBefore = filters.createdAfter === undefined ? undefined : lowestIdAt(filters.createdAfter)
  const found: ShownRecord[] = []
  let before = [filters.cursor, upper].filter((bound) => bound !== undefined).sort()[0]
  // Where everything fits, what fills the page and one more that says that others follow is all there is to read.
  const chunk = isSelective(filters) ? SCAN_CHUNK : limit + 1
  const search = searchOf(services, filters)
  for (let scanned = 0; scanned < SCAN_LIMIT; scanned += chunk) {
    const listed = await fromStore(store.list(caller.id, { count: chunk, before, notBefore }))
    const fitting = listed.flatMap(({ record }) => {
      // A parked task stands in the index as well, for whoever asks for its status.
      if (record?.parentId !== undefined && !filters.status?.some(isParked)) return []
      return record && matches(record, filters) ? [record] : []
    })
    const { found: hits, lookedAt } = await search.find(fitting)
    found.push(...hits)
    if (found.length > limit)
      return { executions: await show(found.slice(0, limit)), nextCursor: found[limit - 1]?.id ?? null }
    if (lookedAt < fitting.length)
      return { executions: await show(found), nextCursor: fitting[lookedAt - 1]?.id ?? before ?? null }
    before = listed.at(-1)?.id
    if (listed.length < chunk || before === undefined) return { executions: await show(found), nextCursor: null }
  }
  return { executions: await show(found), nextCursor: before ?? null }
}

/** Nothing in the log of a list tells of the approvals of its tasks. */
const LIST_POLL_MS = 1_000

/** Waits until a list has ended or an approval of one of its tasks is pending. */
async function awaitList(
  services: FollowServices,
  { id, lastSeq }: ExecutionRecord,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const stop = (): void => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  const poll = async (): Promise<void> => {
    while (!signal.aborted && !over.signal.aborted) {
      await sleep(LIST_POLL_MS, over.signal)
      const [record] = await fromStore(services.store.getMany([id]))
      if (!record || record.openApprovals.length > 0) return stop()
    }
  }
  const polling = poll().catch(stop)
  for await (const _events of services.feed.follow(id, lastSeq, over.signal)) {
    // Only the end counts: the loop ends with it.
  }
  stop()
  signal.removeEventListener('abort', stop)
  await polling
}

/**
 * Waits until the execution has ended or a person must decide, at most so long; the record as it then is.
 */
export async function awaitExecution(
  services: FollowServices,
  id: string,
  caller: Caller,
  milliseconds: number,
  signal: AbortSignal,
): Promise<ExecutionRecord> {
  let record = await requireExecution(services, id, caller)
  if (isTerminal(record.state) || record.openApprovals.length > 0 || milliseconds <= 0) return record
  const deadline = joinSignals([signal], milliseconds)
  try {
    if (record.kind === 'task_list') await awaitList(services, record, deadline.signal)
    else
      for await (const events of services.feed.follow(id, record.lastSeq, deadline.signal)) {
        if (!events.some(({ type }) => type === 'approval.requested')) continue
        record = await requireExecution(services, id, caller)
        if (record.openApprovals.length > 0) return record
      }
  } finally {
    deadline.release()
  }
  record = await requireExecution(services, id, caller)
  return record
}
