import * as z from 'zod'
import { ExecutionId, Timestamp } from './ids.js'
import { WEBHOOK_PATTERNS_LIMIT, WEBHOOK_ROTATION_HOURS, WEBHOOK_URL_LIMIT } from './limits.js'

/** What webhooks are told of. */
export const WEBHOOK_TYPES = [
  'execution.started',
  'execution.finished',
  'execution.parked',
  'approval.requested',
  'schedule.failed',
  'webhook.disabled',
] as const
/** Beside these, to one webhook alone and whatever it hears of. */
export const TEST_TYPE = 'webhook.test'

/** `*`, the beginning of some types as `execution.*`, or one of them. */
const Pattern = z
  .string()
  .refine(
    (pattern) => WEBHOOK_TYPES.some((type) => matchesPattern(pattern, type)),
    `expected *, one of ${WEBHOOK_TYPES.join(', ')}, or a beginning of them such as execution.*`,
  )

/** Whether a type is one that the pattern names. */
export const matchesPattern = (pattern: string, type: string): boolean =>
  pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1)))

const isAbsoluteUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === ''
}
const Url = z
  .string()
  .max(WEBHOOK_URL_LIMIT)
  .refine(isAbsoluteUrl, 'expected https:// or http://, without a user, a password and a fragment')
  .meta({
    description:
      'Where each delivery is posted. Private, loopback, link-local and metadata addresses only if the operator ' +
      'names them (CC_EXECUTOR_WEBHOOK_HOSTS); redirects are not followed.',
    examples: ['https://example.com/hooks/claude'],
  })
const Events = z
  .array(Pattern)
  .min(1)
  .max(WEBHOOK_PATTERNS_LIMIT)
  .meta({ description: 'Types, or patterns of types; default `["*"]`.', examples: [['execution.*']] })
const Description = z
  .string()
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u, 'expected 1 to 256 characters, none of them a control character')
  .meta({ description: 'For people.' })
const Enabled = z.boolean().meta({ description: 'A disabled webhook receives nothing.' })
const AllTokens = z.boolean().meta({
  description: 'It receives events of the executions of every token; requires the scope admin. Default false.',
})

export const WebhookRequest = z
  .strictObject({
    url: Url,
    events: Events.optional(),
    description: Description.optional(),
    enabled: Enabled.optional(),
    allTokens: AllTokens.optional(),
  })
  .meta({ id: 'WebhookRequest' })
export type WebhookRequest = z.infer<typeof WebhookRequest>

export const WebhookChange = z
  .strictObject({
    url: Url.optional(),
    events: Events.nullable().optional(),
    description: Description.nullable().optional(),
    enabled: Enabled.optional(),
    allTokens: AllTokens.optional(),
  })
  .meta({ id: 'WebhookChange', description: 'What is left out stays; null removes.' })
export type WebhookChange = z.infer<typeof WebhookChange>

export const DISABLED_REASONS = ['request', 'failing', 'gone'] as const
export const Webhook = z
  .object({
    id: z.string(),
    url: z.string(),
    events: z.array(z.string()),
    description: z.string().optional(),
    enabled: z.boolean(),
    allTokens: z.boolean(),
    createdAt: Timestamp,
    createdBy: z.string().meta({ description: 'The id of the token that it belongs to.' }),
    disabledAt: Timestamp.optional(),
    disabledReason: z.enum(DISABLED_REASONS).optional().meta({
      description: '`failing`: it accepted nothing for three days; `gone`: it answered 410; `request`: by PATCH.',
    }),
    failingSince: Timestamp.optional().meta({ description: 'Since then no delivery has succeeded.' }),
    lastDeliveredAt: Timestamp.optional(),
    pendingDeliveries: z.int(),
    droppedDeliveries: z.int().meta({
      description: 'Not stored, because CC_EXECUTOR_MAX_PENDING_DELIVERIES were waiting.',
    }),
    previousSecretUntil: Timestamp.optional().meta({
      description: `After a rotation: until then the previous secret signs too (${WEBHOOK_ROTATION_HOURS} hours).`,
    }),
  })
  .meta({ id: 'Webhook', description: 'A webhook; its secret is not shown.' })
export type Webhook = z.infer<typeof Webhook>

export const NewWebhook = Webhook.extend({
  secret: z.string().meta({
    description: 'What signs each delivery, by Standard Webhooks. It is not shown again.',
    examples: ['whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'],
  }),
}).meta({ id: 'NewWebhook' })
export type NewWebhook = z.infer<typeof NewWebhook>

export const WebhookPage = z
  .object({ webhooks: z.array(Webhook), nextCursor: z.string().nullable() })
  .meta({ id: 'WebhookPage', description: 'Newest first.' })
export type WebhookPage = z.infer<typeof WebhookPage>

/** The body of a delivery. */
export const WebhookPayload = z
  .object({
    type: z.string(),
    timestamp: Timestamp,
    data: z
      .looseObject({
        executionId: ExecutionId.optional(),
        status: z.string().optional(),
        code: z.string().optional(),
        kind: z.string().optional(),
        metadata: z.record(z.string(), z.string()).optional(),
      })
      .meta({ description: 'Thin: read the rest from the API.' }),
  })
  .meta({ id: 'WebhookPayload' })
export type WebhookPayload = z.infer<typeof WebhookPayload>

export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed'] as const
export const DeliveryStatus = z.enum(DELIVERY_STATUSES).meta({ id: 'DeliveryStatus' })
export type DeliveryStatus = z.infer<typeof DeliveryStatus>

export const DeliveryAttempt = z
  .object({
    at: Timestamp,
    durationMs: z.int(),
    status: z.int().optional().meta({ description: 'HTTP status of the answer.' }),
    error: z
      .enum(['STATUS', 'REDIRECT', 'TIMEOUT', 'ADDRESS_NOT_ALLOWED', 'NAME_NOT_FOUND', 'CONNECTION', 'NOT_ALLOWED'])
      .optional()
      .meta({ description: 'Why it did not succeed.' }),
    detail: z.string().optional(),
  })
  .meta({ id: 'DeliveryAttempt' })
export type DeliveryAttempt = z.infer<typeof DeliveryAttempt>

export const Delivery = z
  .object({
    id: z.string().meta({ description: 'The header `webhook-id`, the same with every attempt and redelivery.' }),
    webhookId: z.string(),
    type: z.string(),
    status: DeliveryStatus,
    executionId: ExecutionId.optional(),
    createdAt: Timestamp,
    nextAttemptAt: Timestamp.optional(),
    deliveredAt: Timestamp.optional(),
    payload: WebhookPayload,
    attemptCount: z.int(),
    attempts: z.array(DeliveryAttempt).meta({ description: 'The last 20, oldest first.' }),
  })
  .meta({ id: 'Delivery' })
export type Delivery = z.infer<typeof Delivery>

export const DeliveryPage = z
  .object({ deliveries: z.array(Delivery), nextCursor: z.string().nullable() })
  .meta({ id: 'DeliveryPage', description: 'Newest first.' })
export type DeliveryPage = z.infer<typeof DeliveryPage>
