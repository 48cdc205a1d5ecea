import type { AddressGuard } from '../egress/guarded-request.js'
import { GuardedRequestError, postGuarded } from '../egress/guarded-request.js'
import { joinSignals } from '../platform/abort-signals.js'
import type { Logger } from '../platform/logger.js'
import { VERSION } from '../platform/version.js'
import { TEST_TYPE, type DeliveryAttempt } from '../protocol/webhooks.js'
import type { StoredWebhook } from './stored-webhook.js'
import { sign } from './webhook-secret.js'
import type { Sending, Settlement, Turn, WebhookStore } from './webhook-store.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** After each attempt that failed; together as long as a delivery is tried. */
const GAPS_MS = [
  5_000,
  30_000,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  2 * HOUR_MS,
  4 * HOUR_MS,
  8 * HOUR_MS,
  12 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
]
/** Endpoints that fell over together need not all be met at one moment. */
const JITTER = 0.1
const LONGEST_GAP_MS = 24 * HOUR_MS
/** Beyond the time that an attempt may take: nobody else begins the next one before it is over, and settled. */
const TURN_MARGIN_MS = 5_000

export interface SenderServices {
  readonly store: WebhookStore
  readonly logger: Logger
  readonly guard: AddressGuard
  readonly timeoutMs: number
  /** Whether the token of a webhook is still one that may hear. */
  readonly mayHear: (webhook: StoredWebhook) => Promise<boolean>
}

export const turnMs = ({ timeoutMs }: Pick<SenderServices, 'timeoutMs'>): number => timeoutMs + TURN_MARGIN_MS

/** How long until the next attempt, at least as long as the endpoint asks for. */
export function gapAfter(tries: number, retryAfter: string | undefined, random = Math.random()): number {
  const gap = GAPS_MS[Math.min(tries, GAPS_MS.length - 1)] ?? LONGEST_GAP_MS
  const asked = /^\d{1,9}$/.test(retryAfter ?? '') ? Number(retryAfter) * 1_000 : 0
  return Math.round(Math.max(gap * (1 + JITTER * random), Math.min(asked, LONGEST_GAP_MS)))
}

type Tried = Pick<DeliveryAttempt, 'status' | 'error' | 'detail'> & { readonly retryAfter?: string | undefined }

/** One attempt. Resolves whatever comes of it; undefined where it was given up by us. */
async function attempt(services: SenderServices, sending: Sending, stop: AbortSignal): Promise<Tried | undefined> {
  const { webhook, delivery, body } = sending
  const timestamp = Math.floor(Date.now() / 1_000)
  const { signal, release } = joinSignals([stop], services.timeoutMs)
  try {
    const { status, retryAfter } = await postGuarded(services.guard, {
      url: webhook.url,
      headers: {
        'content-type': 'application/json',
        'user-agent': `cc-executor/${VERSION}`,
        'webhook-id': delivery.id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': sign(webhook.secrets, delivery.id, timestamp, body),
      },
      body,
      signal,
    })
    if (status >= 200 && status < 300) return { status }
    return { status, retryAfter, error: status >= 300 && status < 400 ? 'REDIRECT' : 'STATUS' }
  } catch (error) {
    if (stop.aborted) return undefined
    if (error instanceof GuardedRequestError) return { error: error.kind, detail: error.message }
    services.logger.error(
      { webhookId: webhook.id, deliveryId: delivery.id, err: error },
      'a delivery could not be sent',
    )
    return { error: 'CONNECTION' }
  } finally {
    release()
  }
}

const toResult = ({ error, status }: Tried): Settlement['result'] =>
  error === undefined ? 'delivered' : status === 410 ? 'gone' : 'failed'

/** Sends what stands first in a line, and says what came of it. Resolves when that is stored. */
export async function takeTurn(services: SenderServices, turn: Turn, stop: AbortSignal): Promise<void> {
  const { store, logger, mayHear } = services
  const sending = await store.begin(turn, turnMs(services))
  if (!sending) return
  const { webhook, delivery, tries } = sending
  const isTest = delivery.type === TEST_TYPE
  const isAllowed = await mayHear(webhook)
  const [at, begunAt] = [new Date(), performance.now()]
  const tried: Tried | undefined = isAllowed ? await attempt(services, sending, stop) : { error: 'NOT_ALLOWED' }
  if (!tried) return void (await store.settle(turn, { deliveryId: delivery.id, result: 'released' }))
  const { retryAfter, ...shown } = tried
  const made: DeliveryAttempt = {
    at: at.toISOString(),
    durationMs: Math.round(performance.now() - begunAt),
    ...shown,
  }
  const settled = await store.settle(turn, {
    deliveryId: delivery.id,
    result: toResult(tried),
    attempt: JSON.stringify(made),
    delayMs: gapAfter(tries, retryAfter),
    isFinal: isTest || !isAllowed,
    isTest,
  })
  // Its URL may be a secret: it names none.
  const facts = { webhookId: webhook.id, deliveryId: delivery.id, status: tried.status, error: tried.error }
  if (settled === 'disabled') logger.warn(facts, 'the webhook was disabled: its endpoint is gone, or accepts nothing')
  else logger.debug(facts, 'a delivery was attempted')
}
