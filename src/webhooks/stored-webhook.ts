import { definedFields } from '../protocol/defined-fields.js'
import {
  DELIVERY_STATUSES,
  DISABLED_REASONS,
  type Delivery,
  type DeliveryAttempt,
  type Webhook,
  type WebhookChange,
  type WebhookPayload,
  type WebhookRequest,
} from '../protocol/webhooks.js'

/** As the hashes hold them: texts. */
export type Fields = Readonly<Record<string, string>>
export type FoundFields = Readonly<Partial<Record<string, string>>>

/** A webhook as it is kept, with its secret: what signs must be known. */
export interface StoredWebhook extends Webhook {
  readonly secrets: readonly string[]
}

const EVERYTHING = ['*']
const toTime = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : new Date(Number(text)).toISOString()

export const toFields = (
  { url, events = EVERYTHING, description, enabled = true, allTokens = false }: WebhookRequest,
  secret: string,
): Fields =>
  definedFields({
    url,
    events: events.join(' '),
    description,
    secret,
    enabled: enabled ? '1' : '0',
    allTokens: allTokens ? '1' : '0',
  })

/** What is set and what is removed of the fields that have nothing else in their train. */
export function toChangedFields({ url, events, description }: WebhookChange): { set: Fields; removed: string[] } {
  const set = definedFields({
    url,
    events: events === null ? EVERYTHING.join(' ') : events?.join(' '),
    description: description ?? undefined,
  })
  return { set, removed: description === null ? ['description'] : [] }
}

/** undefined where there is no such webhook. now: by Redis' clock. */
export function toStoredWebhook(id: string, fields: FoundFields, now: number): StoredWebhook | undefined {
  const { url, secret, createdAt, owner = '', events = '', description, previousSecret, previousSecretUntil } = fields
  if (url === undefined || secret === undefined || createdAt === undefined) return undefined
  const isRotating = previousSecret !== undefined && Number(previousSecretUntil) > now
  return {
    id,
    url,
    events: events.split(' '),
    description,
    enabled: fields['enabled'] === '1',
    allTokens: fields['allTokens'] === '1',
    createdAt: new Date(Number(createdAt)).toISOString(),
    createdBy: owner,
    disabledAt: toTime(fields['disabledAt']),
    disabledReason: DISABLED_REASONS.find((reason) => reason === fields['disabledReason']),
    failingSince: toTime(fields['failingSince']),
    lastDeliveredAt: toTime(fields['lastDeliveredAt']),
    pendingDeliveries: Number(fields['pending'] ?? 0),
    droppedDeliveries: Number(fields['dropped'] ?? 0),
    previousSecretUntil: isRotating ? toTime(previousSecretUntil) : undefined,
    secrets: isRotating ? [secret, previousSecret] : [secret],
  }
}

/** As it is shown. */
export function toWebhook({ secrets: _secrets, ...webhook }: StoredWebhook): Webhook {
  return webhook
}

const ATTEMPT = 'attempt:'

function toAttempts(fields: FoundFields): DeliveryAttempt[] {
  return Object.entries(fields)
    .flatMap(([name, text]) =>
      // Safe: the sender wrote it.
      name.startsWith(ATTEMPT) && text !== undefined
        ? [[Number(name.slice(ATTEMPT.length)), JSON.parse(text) as DeliveryAttempt] as const]
        : [],
    )
    .sort(([one], [other]) => one - other)
    .map(([, attempt]) => attempt)
}

/** undefined where there is none of this webhook. */
export function toDelivery(id: string, webhookId: string, fields: FoundFields): Delivery | undefined {
  const { webhookId: of, type = '', body, createdAt, executionId } = fields
  const status = DELIVERY_STATUSES.find((one) => one === fields['status'])
  if (of !== webhookId || body === undefined || status === undefined) return undefined
  return {
    id,
    webhookId,
    type,
    status,
    executionId,
    createdAt: new Date(Number(createdAt)).toISOString(),
    nextAttemptAt: toTime(fields['due']),
    deliveredAt: toTime(fields['deliveredAt']),
    // Safe: toPayload made it.
    payload: JSON.parse(body) as WebhookPayload,
    attemptCount: Number(fields['attempts'] ?? 0),
    attempts: toAttempts(fields),
  }
}
