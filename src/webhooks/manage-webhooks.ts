import type { AddressGuard } from '../egress/guarded-request.js'
import { sha256 } from '../platform/hash.js'
import { fromStore } from '../platform/redis.js'
import type { Caller } from '../protocol/caller.js'
import { ExecutorError, toInvalidRequest } from '../protocol/errors.js'
import {
  TEST_TYPE,
  type Delivery,
  type DeliveryPage,
  type DeliveryStatus,
  type NewWebhook,
  type Webhook,
  type WebhookChange,
  type WebhookPage,
  type WebhookRequest,
} from '../protocol/webhooks.js'
import { toChangedFields, toFields, toWebhook, type StoredWebhook } from './stored-webhook.js'
import { mintDeliveryId, mintSecret, mintWebhookId } from './webhook-secret.js'
import { toNewDelivery } from './webhook-sender.js'
import type { WebhookStore } from './webhook-store.js'

const DEFAULT_LIMIT = 50

export interface WebhookServices {
  readonly store: WebhookStore
  readonly guard: AddressGuard
  /** Of a token. */
  readonly maxWebhooks: number
  /** Deliveries of a webhook that may wait. */
  readonly maxPending: number
}

interface PageQuery {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

const notFound = (id: string): ExecutorError =>
  new ExecutorError('WEBHOOK_NOT_FOUND', { detail: `You have no webhook ${JSON.stringify(id.slice(0, 100))}.` })

function requireAdmin(allTokens: boolean | undefined, caller: Caller): void {
  if (allTokens !== true || caller.scopes.has('admin')) return
  throw new ExecutorError('FORBIDDEN', { detail: 'allTokens requires a token with the admin scope.' })
}

/** What is refused in any case is refused now; what a name leads to is seen with each delivery. */
function requireReachable(url: string | undefined, guard: AddressGuard): void {
  const refusal = url === undefined ? undefined : guard.findRefusal(new URL(url))
  if (refusal === undefined) return
  throw toInvalidRequest([
    {
      path: 'url',
      message: `${refusal}: the operator must name it in CC_EXECUTOR_WEBHOOK_HOSTS (with its port, unless 80 or 443)`,
    },
  ])
}

/** One of the caller's own; who has the scope admin may see and change all. */
async function requireWebhook({ store }: WebhookServices, id: string, caller: Caller): Promise<StoredWebhook> {
  const webhook = await fromStore(store.get(id))
  if (!webhook || (webhook.createdBy !== caller.id && !caller.scopes.has('admin'))) throw notFound(id)
  return webhook
}

/** Without a secret where the Idempotency-Key was known. @throws ExecutorError */
export async function createWebhook(
  services: WebhookServices,
  request: WebhookRequest,
  caller: Caller,
  key?: string,
): Promise<NewWebhook | Webhook> {
  const { store, guard, maxWebhooks } = services
  const { enabled = true, allTokens = false } = request
  requireAdmin(allTokens, caller)
  requireReachable(request.url, guard)
  const id = mintWebhookId(await fromStore(store.time()))
  const secret = mintSecret()
  const [answer, known] = await fromStore(
    store.create({
      id,
      fields: toFields(request, secret),
      owner: caller.id,
      hears: enabled ? (allTokens ? '*' : caller.id) : undefined,
      key,
      digest: sha256(JSON.stringify(request)),
      limit: maxWebhooks,
    }),
  )
  switch (answer) {
    case 'full':
      throw new ExecutorError('RATE_LIMITED', {
        detail: `This token has ${maxWebhooks} webhooks already (CC_EXECUTOR_MAX_WEBHOOKS); delete those that are not used.`,
      })
    case 'conflict':
      throw new ExecutorError('IDEMPOTENCY_CONFLICT', {
        detail: 'This Idempotency-Key was used with another request; use a new key for a new webhook.',
      })
    case 'replayed':
      return toWebhook(await requireWebhook(services, known, caller))
    case 'created':
      return { ...toWebhook(await requireWebhook(services, id, caller)), secret }
  }
}

export async function listWebhooks(
  { store }: WebhookServices,
  caller: Caller,
  { limit = DEFAULT_LIMIT, cursor }: PageQuery,
): Promise<WebhookPage> {
  const owner = caller.scopes.has('admin') ? undefined : caller.id
  const { items, nextCursor } = await fromStore(store.list(owner, limit, cursor))
  return { webhooks: items.map(toWebhook), nextCursor }
}

export const getWebhook = async (services: WebhookServices, id: string, caller: Caller): Promise<Webhook> =>
  toWebhook(await requireWebhook(services, id, caller))

export async function changeWebhook(
  services: WebhookServices,
  id: string,
  change: WebhookChange,
  caller: Caller,
): Promise<Webhook> {
  const { store, guard } = services
  await requireWebhook(services, id, caller)
  requireAdmin(change.allTokens, caller)
  requireReachable(change.url, guard)
  const { enabled: enable, allTokens: forAll } = change
  if (!(await fromStore(store.change(id, { ...toChangedFields(change), enable, forAll })))) throw notFound(id)
  return getWebhook(services, id, caller)
}

export async function deleteWebhook(services: WebhookServices, id: string, caller: Caller): Promise<void> {
  await requireWebhook(services, id, caller)
  if (!(await fromStore(services.store.remove(id)))) throw notFound(id)
}

/** The secret before it signs beside the new one for a day; one before that no more. */
export async function rotateSecret(services: WebhookServices, id: string, caller: Caller): Promise<NewWebhook> {
  await requireWebhook(services, id, caller)
  const secret = mintSecret()
  if (!(await fromStore(services.store.change(id, { set: {}, removed: [], rotate: secret })))) throw notFound(id)
  return { ...(await getWebhook(services, id, caller)), secret }
}

async function requireDelivery({ store }: WebhookServices, webhookId: string, id: string): Promise<Delivery> {
  const delivery = await fromStore(store.delivery(webhookId, id))
  if (delivery) return delivery
  throw new ExecutorError('DELIVERY_NOT_FOUND', {
    detail: `The webhook has no delivery ${JSON.stringify(id.slice(0, 100))}, or it is no longer kept.`,
  })
}

/** A delivery that is tried once, also where the webhook is disabled. */
export async function testWebhook(services: WebhookServices, webhookId: string, caller: Caller): Promise<Delivery> {
  const { store, maxPending } = services
  await requireWebhook(services, webhookId, caller)
  const now = await fromStore(store.time())
  const payload = { type: TEST_TYPE, timestamp: new Date(now).toISOString(), data: { webhookId } }
  const delivery = toNewDelivery(webhookId, mintDeliveryId(now), payload, now)
  if (!(await fromStore(store.addTest(delivery, maxPending))))
    throw new ExecutorError('RATE_LIMITED', { detail: `${maxPending} deliveries of this webhook are waiting already.` })
  return requireDelivery(services, webhookId, delivery.id)
}

export async function listDeliveries(
  services: WebhookServices,
  webhookId: string,
  caller: Caller,
  { limit = DEFAULT_LIMIT, cursor, status }: PageQuery & { readonly status?: readonly DeliveryStatus[] | undefined },
): Promise<DeliveryPage> {
  await requireWebhook(services, webhookId, caller)
  const { items, nextCursor } = await fromStore(services.store.deliveries(webhookId, status, limit, cursor))
  return { deliveries: items, nextCursor }
}

/** Sends it again, with its id: a receiver that has it knows it by that. One that still waits is due at once. */
export async function redeliver(
  services: WebhookServices,
  webhookId: string,
  id: string,
  caller: Caller,
): Promise<Delivery> {
  await requireWebhook(services, webhookId, caller)
  await requireDelivery(services, webhookId, id)
  await fromStore(services.store.redeliver(webhookId, id))
  return requireDelivery(services, webhookId, id)
}
