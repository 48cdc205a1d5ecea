import { toStoredMessage, type MessageContent, type StoredMessage } from '../records/stored-message.js'
import { serializeWithoutSeq } from '../../events/stored-event.js'
import { sha256 } from '../../platform/hash.js'
import type { NewEvent } from '../../protocol/events.js'
import { KEPT_ATTACHMENTS_LIMIT_BYTES } from '../../protocol/limits.js'
import type { MessageReason } from '../../protocol/messages.js'
import type { DroppedMessages, SendReply } from './people-scripts.js'
import type { OwedFollowUp } from './queue-reads.js'
import { execute, type StoreContext } from './store-context.js'
import type { NewRecord } from './transitions.js'

/** A message as somebody sends it. */
export interface NewMessage extends MessageContent {
  readonly text: string
  readonly attempt: number
  /** Who it is, and its Idempotency-Key: what the key is kept by. */
  readonly key: string | undefined
  /** Of what was sent with the key. */
  readonly digest: string
  readonly maxOpen: number
  /** What it becomes when it is dropped. */
  readonly owed?: NewRecord | undefined
  /** Bytes that were put aside for it. */
  readonly attached?: number
}

export type SendAnswer =
  | { readonly kind: 'accepted'; readonly message: StoredMessage; readonly state: string }
  | { readonly kind: 'replayed'; readonly message: StoredMessage }
  | { readonly kind: 'full' | 'crowded'; readonly limit: number }
  | { readonly kind: 'conflict' | 'withdrawn' }
  | { readonly kind: 'refused'; readonly state: string }

/** The messages to an execution. */
export interface MessageCommands {
  sendMessage(executionId: string, message: NewMessage): Promise<SendAnswer>
  /** What is not delivered is dropped, by the right of who writes the end. */
  dropMessages(
    drop: Omit<DroppedMessages, 'at' | 'reason'> & { readonly at: Date; readonly reason: MessageReason },
  ): Promise<'dropped' | 'stale'>
  /** Those with a higher number, in order; `noted`: up to there the log has them. */
  listMessages(executionId: string, after?: number): Promise<{ messages: StoredMessage[]; noted: number }>
  /** The message that was sent with this key, and the digest of what was sent. */
  findMessage(executionId: string, key: string): Promise<{ message: StoredMessage; digest: string } | undefined>
  /** The record that a dropped message becomes. */
  readOwed(owed: OwedFollowUp): Promise<NewRecord | undefined>
  /** It is made; or, with a time, it is tried again then. */
  settleOwed(owed: OwedFollowUp, again?: number): Promise<void>
}

/** So many in all to one execution: beyond them a list of them would be no answer any more. */
const MESSAGES_LIMIT = 10_000
const SHOWN_CHARACTERS = 1_000

const shorten = (text: string): string =>
  text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS).toWellFormed()}…`

/** Of a message that the log does not have yet. */
export const toAccepted = ({ id, delivery, by, text = '', attachments }: MessageContent): NewEvent => ({
  type: 'message.accepted',
  data: { messageId: id, delivery, by, text: shorten(text), sha256: sha256(text), attachments },
})

/** Deleted between two steps. */
const GONE = { kind: 'refused', state: 'missing' } as const

export function createMessageCommands({ redis, root, run }: StoreContext): MessageCommands {
  async function listMessages(executionId: string, after = 0) {
    const key = `${root}:messages:${executionId}`
    const [count, noted] = await redis.hmget(key, 'count', 'noted')
    const numbers = Array.from({ length: Math.max(0, Number(count ?? 0) - after) }, (_, index) => after + index + 1)
    if (numbers.length === 0) return { messages: [], noted: Number(noted ?? 0) }
    const pipeline = redis.pipeline()
    for (const number of numbers) pipeline.hmget(key, String(number), `state:${number}`, `sent:${number}`)
    const answers = (await execute(pipeline)) as Array<[string | null, string | null, string | null]>
    const messages = answers.flatMap(([content, state, sent], index) =>
      content === null ? [] : toStoredMessage(after + index + 1, content, state, sent),
    )
    return { messages, noted: Number(noted ?? 0) }
  }

  const readOne = async (executionId: string, number: number): Promise<StoredMessage | undefined> =>
    (await listMessages(executionId, number - 1)).messages[0]

  return {
    listMessages,
    async sendMessage(executionId, { attempt, key, digest, maxOpen, owed, attached = 0, ...content }) {
      const { id, acceptedAt } = content
      const { text: _text, ...dropped } = content
      const reply: SendReply = await run('ccSendMessage', {
        id: executionId,
        messageId: id,
        message: JSON.stringify(content),
        dropped: JSON.stringify(dropped),
        key,
        digest,
        event: serializeWithoutSeq(toAccepted(content), new Date(acceptedAt), attempt),
        at: acceptedAt,
        maxOpen,
        maxAll: MESSAGES_LIMIT,
        followUpId: content.delivery === 'follow_up' ? content.followUpId : undefined,
        owed: owed && JSON.stringify(owed),
        owedId: owed?.id,
        attached: attached > 0 ? attached : undefined,
        maxAttached: KEPT_ATTACHMENTS_LIMIT_BYTES,
      })
      switch (reply[0]) {
        case 'accepted': {
          const [kind, number, state] = reply
          const message = await readOne(executionId, number)
          return message ? { kind, message, state } : GONE
        }
        case 'replayed': {
          const [kind, number] = reply
          const message = await readOne(executionId, number)
          return message ? { kind, message } : GONE
        }
        case 'full':
        case 'crowded':
          return { kind: reply[0], limit: reply[1] }
        case 'refused':
          return { kind: 'refused', state: reply[1] }
        default:
          return { kind: reply[0] }
      }
    },
    async findMessage(executionId, key) {
      const known = await redis.hget(`${root}:messages:${executionId}`, `key:${key}`)
      const [number, digest = ''] = known?.split(' ') ?? []
      const message = number === undefined ? undefined : await readOne(executionId, Number(number))
      return message && { message, digest }
    },
    async readOwed({ executionId, number }) {
      const text = await redis.hget(`${root}:messages:${executionId}`, `owed:${number}`)
      // Safe: sendMessage wrote it.
      return text === null ? undefined : (JSON.parse(text) as NewRecord)
    },
    async settleOwed({ executionId, number }, again) {
      const member = `${executionId} ${number}`
      if (again !== undefined) await redis.zadd(`${root}:owed`, again, member)
      else
        await execute(
          redis.pipeline().zrem(`${root}:owed`, member).hdel(`${root}:messages:${executionId}`, `owed:${number}`),
        )
    },
    async dropMessages({ at, ...drop }) {
      const [answer] = await run('ccDropMessages', { ...drop, at: at.toISOString() })
      return answer
    },
  }
}
