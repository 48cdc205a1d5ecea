import type { Redis } from 'ioredis'
import type { WebhookPayload } from '../protocol/webhooks.js'
import { hears, lineOf, toPayload, type OutboxEntry } from './outbox-entry.js'
import { takeTurn, turnMs, type SenderServices } from './send-delivery.js'
import type { StoredWebhook } from './stored-webhook.js'
import { mintDeliveryId } from './webhook-secret.js'
import type { NewDelivery, Turn } from './webhook-store.js'

/** Turns that are granted at once. */
const GRANTED = 50
/** So often a process looks by itself: what it was told may be lost, and a next attempt is due by the clock. */
const LOOK_MS = 1_000

/** What carries turns to whichever process is free. */
export interface TurnCarrier {
  carry(turns: readonly Turn[]): Promise<void>
  close(): Promise<void>
}

interface SenderOptions extends SenderServices {
  /** A connection that only listens. */
  readonly subscriber: Redis
  readonly maxPending: number
  /** Opened with the first turn: who hears of nothing pays nothing. */
  readonly openCarrier: (takeTurn: (turn: Turn, stop: AbortSignal) => Promise<void>) => TurnCarrier
}

export interface WebhookSender {
  /** There may be something to send. */
  look(): void
  close(): Promise<void>
}

export const toNewDelivery = (webhookId: string, line: string, payload: WebhookPayload, now: number): NewDelivery => {
  const { executionId } = payload.data
  const fields = { type: payload.type, body: JSON.stringify(payload) }
  return {
    id: mintDeliveryId(now),
    webhookId,
    line,
    fields: executionId === undefined ? fields : { ...fields, executionId },
  }
}

/**
 * Turns what is in the outbox into deliveries, and gives turns to those that are due. Every API process does both:
 * each step is one script, so that of two that look at once one finds nothing left.
 */
export function openWebhookSender(options: SenderOptions): WebhookSender {
  const { store, logger, subscriber, mayHear, maxPending, openCarrier } = options
  const channel = Buffer.from(store.channel)
  let carrier: TurnCarrier | undefined
  let looking: Promise<void> | undefined
  let isAskedAgain = false
  let isClosed = false

  /** Who is told of it: not one whose token is gone, which is removed with what it has. */
  async function findHearers(owner: string): Promise<StoredWebhook[]> {
    const hearing = await store.hearing(owner)
    const allowed = await Promise.all(hearing.map(mayHear))
    return hearing.filter((_webhook, index) => allowed[index])
  }

  async function emptyOutbox(): Promise<void> {
    for (;;) {
      const entries = await store.entries()
      if (entries.length === 0) return
      const hearers = new Map<string, StoredWebhook[]>()
      // One after the other: what comes later of an execution stands behind what came before.
      for (const entry of entries) {
        const { owner } = entry
        const known = hearers.get(owner) ?? (await findHearers(owner))
        hearers.set(owner, known)
        await store.take(entry.id, toDeliveries(entry, known), maxPending)
      }
    }
  }

  function toDeliveries(entry: OutboxEntry, hearers: readonly StoredWebhook[]): NewDelivery[] {
    const payload = toPayload(entry)
    return hearers
      .filter((webhook) => hears(entry, webhook))
      .map(({ id }) => toNewDelivery(id, lineOf(entry), payload, entry.timestamp))
  }

  async function grantTurns(): Promise<void> {
    for (let granted = GRANTED; granted === GRANTED && !isClosed;) {
      const turns = await store.grant(GRANTED, turnMs(options))
      granted = turns.length
      if (granted === 0) return
      carrier ??= openCarrier(async (turn, stop) => {
        await takeTurn(options, turn, stop)
        look()
      })
      await carrier.carry(turns)
    }
  }

  async function run(): Promise<void> {
    do {
      isAskedAgain = false
      await emptyOutbox()
      await grantTurns()
    } while (isAskedAgain && !isClosed)
  }

  function look(): void {
    if (isClosed) return
    isAskedAgain = true
    looking ??= run()
      .catch((err: unknown) => logger.debug({ err }, 'webhooks could not be looked at; trying again'))
      .finally(() => {
        looking = undefined
        if (isAskedAgain) setImmediate(look)
      })
  }

  subscriber.on('messageBuffer', (from: Buffer) => {
    if (from.equals(channel)) look()
  })
  const listen = (): void => void subscriber.subscribe(store.channel).catch(() => undefined)
  subscriber.on('ready', () => {
    listen()
    look()
  })
  listen()
  const timer = setInterval(look, LOOK_MS)
  timer.unref()
  look()

  return {
    look,
    async close() {
      isClosed = true
      clearInterval(timer)
      await looking
      await carrier?.close()
    },
  }
}
