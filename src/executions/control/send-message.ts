import { fromStore } from '../../platform/redis.js'
import { sha256 } from '../../platform/hash.js'
import { mintUuid } from '../../platform/mint-uuid.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import { isTerminal } from '../../protocol/execution.js'
import type { Message, MessageRequest } from '../../protocol/messages.js'
import { withdrawn } from '../../tokens/manage-tokens.js'
import { settleOwed } from '../conclude/follow-ups.js'
import { requireExecution } from '../read/find-execution.js'
import { showMessages } from '../read/list-messages.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toMessage, type StoredMessage } from '../records/stored-message.js'
import type { DomainServices } from '../services.js'
import type { NewRecord } from '../store/transitions.js'
import { planFollowUp, submitFollowUp } from '../submit/follow-up.js'
import { takeMessageAttachments, type Taken } from '../submit/take-attachments.js'
import { notifyWorkers } from './notify-workers.js'

export interface Sent {
  readonly message: Message
  /** The Idempotency-Key was known: this is the message of the first time. */
  readonly replayed: boolean
}

/**
 * Sends a message to an execution: what is stored is delivered once, or dropped with a reason. The holder of a run is
 * notified, and reads it again with every renewal of its lease.
 * @throws ExecutorError EXECUTION_NOT_FOUND, NOT_RUNNING, PAYLOAD_TOO_LARGE, IDEMPOTENCY_CONFLICT, RATE_LIMITED,
 * STORE_UNAVAILABLE; of a follow-up also those of submitExecution
 */
export async function sendMessage(
  services: DomainServices,
  executionId: string,
  request: MessageRequest,
  caller: Caller,
  idempotencyKey?: string,
): Promise<Sent> {
  const { store } = services
  const record = await requireExecution(services, executionId, caller)
  if (record.kind === 'task_list') throw notToList(record)
  requireShort(services, request)
  const taken = takeMessageAttachments(request, services.config)
  const { text, delivery = 'steer', onDropped, attachments } = taken.request
  const digest = sha256(JSON.stringify([text, delivery, onDropped, ...(attachments ? [attachments] : [])]))
  const known =
    idempotencyKey === undefined ? undefined : await fromStore(store.findMessage(executionId, idempotencyKey))
  if (known && known.digest !== digest) throw conflict()
  if (known) return { message: await show(services, executionId, known.message), replayed: true }
  const followUp = await becomeFollowUp(services, record, taken, caller, idempotencyKey)
  const now = await fromStore(store.recentNow())
  const id = mintUuid(now)
  // Those of a follow-up are its own already.
  const contents = delivery === 'follow_up' ? [] : [...taken.contents]
  if (contents.length > 0) await fromStore(store.putAttachmentsAside(id, new Map(contents)))
  const answer = await fromStore(
    store.sendMessage(executionId, {
      id,
      delivery,
      text,
      attachments,
      by: caller.name,
      acceptedAt: new Date(now).toISOString(),
      followUpId: followUp?.id,
      owed: followUp?.owed,
      attached: contents.reduce((sum, [, bytes]) => sum + bytes.length, 0),
      attempt: record.attempt,
      key: idempotencyKey,
      digest,
      maxOpen: services.config.maxOpenMessages,
    }),
  )
  // What was kept is not there any more.
  if (contents.length > 0) await store.discardAttachments(id).catch(() => undefined)
  switch (answer.kind) {
    case 'accepted': {
      const { message } = answer
      if (message.fate === undefined) await notifyWorkers(services, executionId)
      else if (followUp?.owed) await settleOwed(services, { executionId, number: message.number })
      return { message: await show(services, executionId, message), replayed: false }
    }
    case 'replayed':
      return { message: await show(services, executionId, answer.message), replayed: true }
    case 'conflict':
      throw conflict()
    case 'full':
      throw new ExecutorError('RATE_LIMITED', {
        detail:
          `This execution has ${answer.limit} messages that are not delivered yet, as many as it may have ` +
          '(CC_EXECUTOR_MAX_OPEN_MESSAGES); wait until it has read some.',
      })
    case 'crowded': {
      const message =
        `the attachments of this execution and its messages would be longer than ${answer.limit} bytes in total; ` +
        'they are kept until its end'
      throw toInvalidRequest([{ path: 'attachments', message }], 'PAYLOAD_TOO_LARGE')
    }
    case 'withdrawn':
      throw withdrawn()
    case 'refused':
      throw new ExecutorError('EXECUTION_NOT_FOUND', { detail: 'The execution was deleted.' })
  }
}

interface FollowUp {
  readonly id: string
  /** It is made only when the message is dropped. */
  readonly owed?: NewRecord
}

/** The execution that a message is, or becomes when it is dropped; undefined: none. */
async function becomeFollowUp(
  services: DomainServices,
  record: ExecutionRecord,
  taken: Taken<MessageRequest>,
  caller: Caller,
  key: string | undefined,
): Promise<FollowUp | undefined> {
  const { delivery, onDropped } = taken.request
  if (delivery === 'follow_up') {
    // A key is known by the follow-up first: it is made once, also where the message was not stored after it.
    const own = key === undefined ? undefined : `message ${record.id} ${key}`
    return { id: (await submitFollowUp(services, record, taken, caller, own)).execution.id }
  }
  if (onDropped === undefined) return undefined
  const owed = await planFollowUp(services, record, taken, caller)
  return { id: owed.id, owed }
}

async function show(services: DomainServices, executionId: string, message: StoredMessage): Promise<Message> {
  const [shown = toMessage(executionId, message)] = await showMessages(services, executionId, [message])
  return shown
}

const conflict = (): ExecutorError =>
  new ExecutorError('IDEMPOTENCY_CONFLICT', {
    detail: 'This Idempotency-Key was used with another message to this execution; use a new key for a new message.',
  })

function requireShort({ config }: DomainServices, { text }: MessageRequest): void {
  if (Buffer.byteLength(text) <= config.messageLimitBytes) return
  const limit = `${config.messageLimitBytes} bytes in UTF-8 (CC_EXECUTOR_MESSAGE_LIMIT_BYTES)`
  throw toInvalidRequest([{ path: 'text', message: `must not be longer than ${limit}` }], 'PAYLOAD_TOO_LARGE')
}

function notToList({ id, tasks = [], state }: ExecutionRecord): ExecutorError {
  const task = tasks.findLast((one) => !isTerminal(one.state)) ?? tasks.at(-1)
  const instead = task
    ? `send it to ${isTerminal(task.state) ? 'one of its tasks, for example' : 'the running task instead,'} ${task.id}`
    : 'send it to its task'
  return new ExecutorError('NOT_RUNNING', {
    detail: `${id} is a task list${isTerminal(state) ? ', which has ended,' : ''} and reads no messages; ${instead}.`,
  })
}
