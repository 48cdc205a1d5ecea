import type { Approval, ApprovalFilters, ApprovalPage } from '../../protocol/approvals.js'
import { mayWatch, type Caller } from '../../protocol/caller.js'
import { ExecutorError } from '../../protocol/errors.js'
import { isExecutionId } from '../../protocol/ids.js'
import { fromStore } from '../../platform/redis.js'
import { toApproval, type ApprovalRecord } from '../records/approval-record.js'
import type { ReadServices } from '../services.js'
import { toNotFound } from './find-execution.js'

const DEFAULT_LIMIT = 50
/** Ids read from an index at once, and at most for one page, whose cursor leads on from there. */
const SCAN_CHUNK = 200
const SCAN_LIMIT = 2_000

/** An approver with the admin scope sees those of all; a token of one execution only its own. */
const maySee = ({ executionId, owner }: Pick<ApprovalRecord, 'executionId' | 'owner'>, caller: Caller): boolean =>
  mayWatch({ id: executionId, owner }, caller) || (caller.executionId === undefined && caller.scopes.has('admin'))

/** @throws ExecutorError APPROVAL_NOT_FOUND */
export async function requireApproval({ store }: ReadServices, id: string, caller: Caller): Promise<ApprovalRecord> {
  // They have the form of an execution's id.
  const [found] = isExecutionId(id) ? await fromStore(store.getApprovals([id])) : []
  if (!found || !maySee(found, caller))
    throw new ExecutorError('APPROVAL_NOT_FOUND', { detail: `There is no approval ${id.slice(0, 100)}.` })
  return found
}

export const getApproval = async (services: ReadServices, id: string, caller: Caller): Promise<Approval> =>
  toApproval(await requireApproval(services, id, caller))

const isNewer = (one: { readonly id: string }, other: { readonly id: string }): number => (one.id < other.id ? 1 : -1)

/** Of one execution; of a list, those of its tasks: there are few enough to be read at once. */
async function listOf(services: ReadServices, executionId: string, caller: Caller): Promise<ApprovalRecord[]> {
  const { store } = services
  const record = isExecutionId(executionId) ? await store.get(executionId) : undefined
  if (!record || !maySee({ executionId, owner: record.owner }, caller)) throw toNotFound(executionId)
  const { id, tasks = [] } = record
  const lists = await Promise.all([id, ...tasks.map((task) => task.id)].map((each) => store.listApprovalsOf(each)))
  return lists.flat().sort(isNewer)
}

function toPage(found: readonly ApprovalRecord[], limit: number, next: string | null): ApprovalPage {
  const shown = found.slice(0, limit)
  return { approvals: shown.map(toApproval), nextCursor: found.length > limit ? (shown.at(-1)?.id ?? null) : next }
}

/** Newest first. A page may be shorter than its limit while `nextCursor` leads on. */
export async function listApprovals(
  services: ReadServices,
  { status = ['pending'], executionId, limit = DEFAULT_LIMIT, cursor }: ApprovalFilters,
  caller: Caller,
): Promise<ApprovalPage> {
  const wanted = new Set<string>(status)
  const named = executionId ?? caller.executionId
  if (named !== undefined) {
    const all = await fromStore(listOf(services, named, caller))
    const found = all.filter(({ id, ...rest }) => wanted.has(rest.status) && (cursor === undefined || id < cursor))
    return toPage(found, limit, null)
  }
  const owner = caller.scopes.has('admin') ? undefined : caller.id
  const indexes = [
    ...(wanted.has('pending') ? (['open'] as const) : []),
    ...(hasClosed(wanted) ? (['closed'] as const) : []),
  ]
  const found: ApprovalRecord[] = []
  let before: string | undefined = cursor
  for (let scanned = 0; scanned < SCAN_LIMIT; scanned += SCAN_CHUNK) {
    const [ids, isLast] = await readIds(services, indexes, owner, before)
    for (const record of await fromStore(services.store.getApprovals(ids)))
      if (wanted.has(record.status)) found.push(record)
    before = ids.at(-1)
    if (found.length > limit || isLast || before === undefined) return toPage(found, limit, null)
  }
  return toPage(found, limit, before ?? null)
}

const hasClosed = (wanted: ReadonlySet<string>): boolean => wanted.size > (wanted.has('pending') ? 1 : 0)

/** The next ids of the indexes together, newest first, and whether there are no others. */
async function readIds(
  { store }: ReadServices,
  indexes: ReadonlyArray<'open' | 'closed'>,
  owner: string | undefined,
  before: string | undefined,
): Promise<readonly [ids: string[], isLast: boolean]> {
  const bounds = { before, count: SCAN_CHUNK }
  const lists = await fromStore(Promise.all(indexes.map((index) => store.listApprovalIds(index, owner, bounds))))
  const ids = lists.flat().sort().toReversed()
  return [ids.slice(0, SCAN_CHUNK), lists.every(({ length }) => length < SCAN_CHUNK) && ids.length <= SCAN_CHUNK]
}
