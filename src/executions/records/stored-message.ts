import type { SentAttachment } from '../../protocol/attachments.js'
import type { Message, MessageDelivery } from '../../protocol/messages.js'

/** What is fixed of a message when it is accepted; kept as JSON. */
export interface MessageContent {
  readonly id: string
  readonly delivery: MessageDelivery
  /** Not kept of one that was dropped at once. */
  readonly text?: string
  /** As they were sent, without their bytes; once delivered, as they were handed over. */
  readonly attachments?: SentAttachment[] | undefined
  /** The name of the token that sent it. */
  readonly by: string
  readonly acceptedAt: string
  /** Of a follow-up, and of a message that becomes one when it is dropped. */
  readonly followUpId?: string
}

export interface StoredMessage extends MessageContent {
  /** Its place among those of its execution, from 1. */
  readonly number: number
  /** undefined: nothing yet. */
  readonly fate?: { readonly kind: 'delivered' | 'dropped'; readonly at: string; readonly reason?: string }
}

/** `state`, `sent`: as mark-message.lua writes them: kind, time, and perhaps a reason; what was attached. */
export function toStoredMessage(
  number: number,
  content: string,
  state: string | null,
  sent: string | null,
): StoredMessage {
  // Safe: sendMessage wrote it.
  const stored = JSON.parse(content) as MessageContent
  // Safe: the event message.delivered has it from its writer.
  const attachments = sent === null ? stored.attachments : (JSON.parse(sent) as SentAttachment[])
  const message = { ...stored, attachments, number }
  const [kind, at = '', reason] = state?.split(' ') ?? []
  return kind === 'delivered' || kind === 'dropped'
    ? { ...message, fate: { kind, at, reason: reason || undefined } }
    : message
}

export const toMessage = (
  executionId: string,
  { number: _number, fate, followUpId, ...content }: StoredMessage,
): Message => ({
  ...content,
  executionId,
  followUpId: content.delivery === 'follow_up' || fate?.kind === 'dropped' ? followUpId : undefined,
  status: fate?.kind ?? 'accepted',
  deliveredAt: fate?.kind === 'delivered' ? fate.at : undefined,
  reason: fate?.reason,
})
