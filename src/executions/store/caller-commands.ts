import { serializeWithoutSeq } from '../../events/stored-event.js'
import { createBatches } from './create-batches.js'
import { decodeCancelList, decodeCreate } from './decode-replies.js'
import { toNewRecord, type NewRecordArguments } from './new-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toRecord } from '../records/stored-fields.js'
import type { StoreContext } from './store-context.js'
import type { CancelListAnswer } from './list-transitions.js'
import type { CreateReply } from './record-scripts.js'
import type { CreateAnswer, NewRecord } from './transitions.js'

/** What callers ask for. */
export interface CallerCommands {
  /**
   * Writes the record and event 1, of a task list those of its first task, too; or says what stands against it. One
   * atomic step.
   */
  create(record: NewRecord, maxQueue: number, firstTask?: NewRecord): Promise<CreateAnswer>
  request(
    id: string,
    request: { kind: 'cancel' } | { kind: 'pause'; wanted: boolean },
    by: string,
    reason: string | undefined,
  ): Promise<{ kind: 'requested' | 'known' | 'refused'; state: string }>
  /**
   * Stores the request; the task that is under way, and its state, and the last event of the list. A running task has
   * the request already.
   */
  requestListCancel(listId: string, by: string, reason: string | undefined): Promise<CancelListAnswer>
  delete(id: string, owner: string): Promise<{ kind: 'deleted'; claim: number } | { kind: 'refused'; state: string }>
}

function toPairs(fields: NewRecordArguments['fields']): string[] {
  const pairs: string[] = []
  for (const [field, value] of Object.entries(fields)) if (value !== undefined) pairs.push(field, value)
  return pairs
}

const hasWanted = (wanted: NewRecord['wantedBudget'] = {}): boolean =>
  Object.values(wanted).some((amount) => amount !== undefined)

/** What would be read of a new record now. undefined: there is more to tell, or it was made before. */
function toQueuedRecord(
  { id, session, wantedBudget }: NewRecord,
  fields: NewRecordArguments['fields'],
  position: number,
  isLimited: boolean,
): ExecutionRecord | undefined {
  return session || hasWanted(wantedBudget) || isLimited || position === 0
    ? undefined
    : toRecord(id, fields, 1, position)
}

function toCreated(record: NewRecord, fields: NewRecordArguments['fields'], reply: CreateReply): CreateAnswer {
  const queued = reply[0] === 'created' ? toQueuedRecord(record, fields, reply[1], reply[2] === 1) : undefined
  return queued ? { kind: 'created', record: queued } : decodeCreate(reply)
}

/** Whether create-many can take it. */
const isPlain = ({ session, scheduleId, planned, queueTimeoutMs, wantedBudget, request }: NewRecord): boolean =>
  !session &&
  !scheduleId &&
  !planned &&
  queueTimeoutMs === undefined &&
  !hasWanted(wantedBudget) &&
  !hasKept({ request })

/** Whether bytes of attachments were put aside for it; of a list, those of its tasks, too. */
const hasKept = ({ request: { attachments = [], tasks = [] } }: Pick<NewRecord, 'request'>): boolean =>
  attachments.some(({ sha256 }) => sha256 !== undefined) ||
  tasks.some((task) => typeof task === 'object' && task.attachments !== undefined)

export function createCallerCommands(context: StoreContext): CallerCommands {
  const { run, now, sharedWorkspaces } = context
  const createPlain = createBatches(context)
  return {
    async create(record, maxQueue, firstTask) {
      const made = toNewRecord(record)
      const { score, ...content } = made
      const { fields } = content
      if (!firstTask && isPlain(record))
        return toCreated(
          record,
          fields,
          await createPlain({ id: record.id, idempotencyKey: record.idempotencyKey, new: made, maxQueue }),
        )
      const { id, owner, idempotencyKey, requestDigest, scheduleId, planned } = record
      const asked = { id, owner, idempotencyKey, requestDigest, scheduleId, planned }
      const hasAttachments = hasKept(record) || undefined
      const admission = { ...asked, maxQueue, score, sharedWorkspaces, hasAttachments, new: content }
      if (firstTask) {
        const task = { id: firstTask.id, ...toNewRecord(firstTask) }
        return decodeCreate(await run('ccCreateList', { ...admission, task }))
      }
      const session = record.session && { ...record.session, sharedWorkspaces }
      const { workspace, simulated, queueDeadline } = fields
      // The record itself is not wrapped into JSON once more, which the script would have to unwrap.
      const seen = { ...content, fields: { workspace, simulated, queueDeadline } }
      const reply = await run('ccCreate', { ...admission, new: seen, session }, ...toPairs(fields))
      return toCreated(record, fields, reply)
    },
    async request(id, request, by, reason = '') {
      const [kind, state] = await run('ccRequest', { id, ...request, by, reason })
      return { kind, state }
    },
    async requestListCancel(listId, by, reason) {
      const event = serializeWithoutSeq(
        { type: 'execution.cancel_requested', data: { by, reason } },
        new Date(await now()),
        0,
      )
      return decodeCancelList(await run('ccCancelList', listId, by, reason ?? '', event))
    },
    async delete(id, owner) {
      const reply = await run('ccDelete', id, owner)
      return reply[0] === 'deleted'
        ? { kind: 'deleted', claim: Number(reply[1]) }
        : { kind: 'refused', state: reply[1] }
    },
  }
}
