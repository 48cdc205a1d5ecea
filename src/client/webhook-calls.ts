import { definedFields } from '../protocol/defined-fields.js'
import type {
  Delivery,
  DeliveryPage,
  DeliveryStatus,
  NewWebhook,
  Webhook,
  WebhookChange,
  WebhookPage,
  WebhookRequest,
} from '../protocol/webhooks.js'
import type { Rest, RestCall } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal
}

export interface WebhooksQuery {
  readonly limit?: number
  readonly cursor?: string
}

export interface DeliveriesQuery extends WebhooksQuery {
  readonly status?: readonly DeliveryStatus[]
}

/** Webhooks need the scope execute; those of others, and for all tokens, the scope admin. */
export interface WebhookCalls {
  /** With its secret, which is not shown again. */
  createWebhook(request: WebhookRequest, options?: CallOptions): Promise<NewWebhook>
  /** A second time with the same key it is the webhook of the first time, without its secret. */
  createWebhook(
    request: WebhookRequest,
    options: CallOptions & { readonly idempotencyKey: string },
  ): Promise<Webhook & Partial<Pick<NewWebhook, 'secret'>>>
  webhooks(query?: WebhooksQuery, options?: CallOptions): Promise<WebhookPage>
  webhook(id: string, options?: CallOptions): Promise<Webhook>
  changeWebhook(id: string, change: WebhookChange, options?: CallOptions): Promise<Webhook>
  deleteWebhook(id: string, options?: CallOptions): Promise<void>
  /** With the new secret; the previous one signs beside it for a day. */
  rotateWebhookSecret(id: string, options?: CallOptions): Promise<NewWebhook>
  /** The delivery, which is on its way: `delivery` shows what came of it. */
  testWebhook(id: string, options?: CallOptions): Promise<Delivery>
  deliveries(webhookId: string, query?: DeliveriesQuery, options?: CallOptions): Promise<DeliveryPage>
  redeliver(webhookId: string, deliveryId: string, options?: CallOptions): Promise<Delivery>
}

const at = (id: string, tail = ''): string => `/webhooks/${encodeURIComponent(id)}${tail}`

export function createWebhookCalls(rest: Rest): WebhookCalls {
  // Safe: the service's own answers, in the shapes that the protocol publishes.
  const ask = <Answer>(call: RestCall): Promise<Answer> => rest.json(call) as Promise<Answer>
  return {
    createWebhook: (body: WebhookRequest, { signal, idempotencyKey }: CallOptions & { idempotencyKey?: string } = {}) =>
      ask<NewWebhook>({
        method: 'POST',
        path: '/webhooks',
        body,
        signal,
        headers: definedFields({ 'idempotency-key': idempotencyKey }),
      }),
    webhooks: (query = {}, { signal } = {}) => ask({ path: '/webhooks', query: { ...query }, signal }),
    webhook: (id, { signal } = {}) => ask({ path: at(id), signal }),
    changeWebhook: (id, body, { signal } = {}) => ask({ method: 'PATCH', path: at(id), body, signal }),
    async deleteWebhook(id, { signal } = {}) {
      await rest.text({ method: 'DELETE', path: at(id), signal })
    },
    rotateWebhookSecret: (id, { signal } = {}) => ask({ method: 'POST', path: at(id, '/rotate'), signal }),
    testWebhook: (id, { signal } = {}) => ask({ method: 'POST', path: at(id, '/test'), signal }),
    deliveries: (id, { status, ...query } = {}, { signal } = {}) =>
      ask({ path: at(id, '/deliveries'), query: { ...query, status: status?.join(',') }, signal }),
    redeliver: (id, deliveryId, { signal } = {}) =>
      ask({ method: 'POST', path: at(id, `/deliveries/${encodeURIComponent(deliveryId)}/redeliver`), signal }),
  }
}
