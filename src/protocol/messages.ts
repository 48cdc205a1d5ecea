import * as z from 'zod'
import { Attachments, SentAttachments } from './attachments.js'
import { ExecutionId, ExecutionReference, Timestamp } from './ids.js'
import { IDEMPOTENCY_KEY_LIMIT, PROMPT_LIMIT_BYTES } from './limits.js'
import { runText } from './run-text.js'

export const MessageDelivery = z.enum(['steer', 'follow_up']).meta({
  id: 'MessageDelivery',
  description:
    '`steer`: the message joins the run, after its next tool call or as its next turn. `follow_up`: an ' +
    'execution on the same session that starts when the ones before it have ended.',
})
export type MessageDelivery = z.infer<typeof MessageDelivery>

const fields = {
  text: runText(PROMPT_LIMIT_BYTES)
    .refine((text) => text === '' || /\S/.test(text), 'must not consist of white space only')
    .meta({
      description: 'Always text: no slash commands, no @file attachments. At most CC_EXECUTOR_MESSAGE_LIMIT_BYTES.',
      examples: ['Use the other database.'],
    }),
  delivery: MessageDelivery.optional().meta({ description: 'Default `steer`.' }),
  attachments: Attachments.optional().meta({
    description:
      'Images and PDF. The CLI hands no PDF to a turn that runs: a message with one is read as the next turn, and so ' +
      'are those behind it until then.',
  }),
}

const onDropped = z.literal('follow_up').optional().meta({
  description: 'With `steer`: a message that is not delivered becomes a follow-up.',
})

function requireSteer(
  { delivery, onDropped }: { readonly delivery?: unknown; readonly onDropped?: unknown },
  context: z.RefinementCtx,
): void {
  if (delivery === 'follow_up' && onDropped !== undefined)
    context.addIssue({ code: 'custom', path: ['onDropped'], message: 'is accepted only with the delivery steer' })
}

/** The body of `POST /executions/{id}/messages`. */
export const MessageRequest = z
  .strictObject({ ...fields, onDropped })
  .superRefine(requireSteer)
  .meta({ id: 'MessageRequest' })
export type MessageRequest = z.infer<typeof MessageRequest>

/** The params of the JSON-RPC method `message.send`. */
export const MessageSendParams = z
  .strictObject({
    executionId: ExecutionReference,
    ...fields,
    onDropped,
    idempotencyKey: z
      .string()
      .min(1)
      .max(IDEMPOTENCY_KEY_LIMIT)
      .optional()
      .meta({ description: 'Same as the header Idempotency-Key of POST /executions/{id}/messages.' }),
  })
  .superRefine(requireSteer)
  .meta({ id: 'MessageSendParams' })

export const MessageReason = z.enum(['ended', 'cancelled', 'timed_out', 'failed', 'attachment']).meta({
  id: 'MessageReason',
  description:
    'Why a message was not delivered: how the execution ended before the model read it; `attachment`: a file that it ' +
    'names cannot be attached.',
})
export type MessageReason = z.infer<typeof MessageReason>

export const Message = z
  .object({
    id: z.uuid(),
    executionId: ExecutionId,
    delivery: MessageDelivery,
    status: z.enum(['accepted', 'delivered', 'dropped']).meta({
      description: '`delivered`: the CLI has passed it to the model.',
    }),
    followUpId: ExecutionId.optional().meta({ description: 'The execution that it has become.' }),
    text: z.string().optional().meta({ description: 'Absent if the message was dropped when it was sent.' }),
    attachments: SentAttachments,
    by: z.string().meta({ description: 'The name of the token that sent it.' }),
    acceptedAt: Timestamp,
    deliveredAt: Timestamp.optional(),
    reason: z.string().optional().meta({ description: 'Of a dropped message: a MessageReason.' }),
  })
  .meta({ id: 'Message', description: 'A message to an execution: delivered exactly once, or dropped with a reason.' })
export type Message = z.infer<typeof Message>

export const MessageList = z
  .object({ messages: z.array(Message).meta({ description: 'In the order of acceptance.' }) })
  .meta({ id: 'MessageList' })
export type MessageList = z.infer<typeof MessageList>

const MessageId = z.uuid().meta({ description: 'The id of the message.' })

/** The data of the events of messages, by type. */
export const MESSAGE_EVENTS = {
  'message.accepted': z.object({
    messageId: MessageId,
    delivery: MessageDelivery,
    by: z.string().meta({ description: 'The name of the token that sent it.' }),
    text: z.string().meta({ description: 'Shortened; `GET /executions/{id}/messages` has all of it.' }),
    sha256: z.string().meta({ description: 'Of the whole text in UTF-8, hex.' }),
    attachments: SentAttachments,
  }),
  'message.delivered': z.object({
    messageId: MessageId,
    attachments: SentAttachments.meta({
      description: 'As they were handed to the CLI; absent if there are none, or if that is not known.',
    }),
  }),
  'message.dropped': z.object({
    messageId: MessageId,
    reason: MessageReason,
    followUpId: ExecutionId.optional().meta({ description: 'With `onDropped`: the execution that it becomes.' }),
    detail: z.string().optional().meta({ description: 'What is wrong with an attachment.' }),
  }),
} as const

/** One sentence for people. */
export function describeMessage({ id, status, reason, followUpId }: Message): string {
  if (followUpId !== undefined)
    return status === 'dropped'
      ? `Message ${id} was dropped (${reason ?? 'ended'}) and becomes the execution ${followUpId}.`
      : `Message ${id} is the execution ${followUpId}.`
  return status === 'dropped'
    ? `Message ${id} was dropped: ${reason === 'attachment' ? 'a file of it cannot be attached' : 'the execution has ended'}.`
    : `Message ${id} is ${status}; the events of the execution tell when Claude reads it.`
}
