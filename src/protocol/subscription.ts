import * as z from 'zod'
import { MaxEventBytes } from './event-size.js'
import { EventSchema, EventType, ShortenedEvent } from './events.js'
import { ExecutionStatus } from './execution.js'
import { Cursor, ExecutionId, ExecutionReference } from './ids.js'

export const SubscriptionId = z.string().meta({ id: 'SubscriptionId' })

export const SubscribeParams = z.strictObject({
  executionId: ExecutionReference,
  after: Cursor.optional(),
  types: z
    .array(EventType)
    .min(1)
    .optional()
    .meta({ description: 'Only these event types; the order is kept, seqs have gaps.' }),
  maxEventBytes: MaxEventBytes.optional(),
})
export type SubscribeParams = z.infer<typeof SubscribeParams>

export const SubscribeResult = z
  .object({ subscriptionId: SubscriptionId, status: ExecutionStatus, lastSeq: Cursor })
  .meta({ id: 'SubscribeResult' })

/** Why a subscription ended. */
export const SubscriptionClosedReason = z.enum([
  'finished',
  'unsubscribed',
  'deleted',
  'cursor_expired',
  'store_unavailable',
])
export type SubscriptionClosedReason = z.infer<typeof SubscriptionClosedReason>

/** What the server sends by itself. */
export const NOTIFICATIONS = {
  'execution.event': {
    summary: 'One event of a subscription, in order.',
    params: z.object({
      subscriptionId: SubscriptionId,
      executionId: ExecutionId,
      event: z.union([EventSchema, ShortenedEvent]),
    }),
  },
  'subscription.closed': {
    summary: 'No further events follow on this subscription.',
    params: z.object({ subscriptionId: SubscriptionId, executionId: ExecutionId, reason: SubscriptionClosedReason }),
  },
} as const
