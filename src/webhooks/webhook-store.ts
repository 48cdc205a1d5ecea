import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import { WEBHOOK_ROTATION_HOURS } from '../protocol/limits.js'
import type { Delivery, DeliveryStatus } from '../protocol/webhooks.js'
import { toEntry, type OutboxEntry } from './outbox-entry.js'
import { SCRIPTS } from './scripts.generated.js'
import { toDelivery, toStoredWebhook, type Fields, type StoredWebhook } from './stored-webhook.js'

const ROTATION_MS = WEBHOOK_ROTATION_HOURS * 60 * 60 * 1_000
/** Entries of the outbox that are read at once. */
const ENTRIES = 50

/** Who may send what stands first in a line. */
export interface Turn {
  readonly webhookId: string
  readonly line: string
  readonly fence: string
}

export interface NewDelivery {
  readonly id: string
  readonly webhookId: string
  readonly line: string
  readonly fields: Fields
}

/** What is to be sent with a turn. */
export interface Sending {
  readonly webhook: StoredWebhook
  readonly delivery: Delivery
  /** To the byte, as it was signed first. */
  readonly body: string
  /** How often it was tried since it was asked for. */
  readonly tries: number
}

export interface Settlement {
  readonly deliveryId: string
  readonly result: 'delivered' | 'failed' | 'gone' | 'released'
  /** JSON of a DeliveryAttempt. */
  readonly attempt?: string
  readonly delayMs?: number
  /** It is not tried again. */
  readonly isFinal?: boolean
  readonly isTest?: boolean
}

type Made = readonly ['created' | 'full'] | readonly ['replayed' | 'conflict', id: string]
interface Making {
  readonly id: string
  readonly fields: Fields
  readonly owner: string
  /** Whose executions it hears of: its own token's, or `*`; undefined: it is disabled. */
  readonly hears: string | undefined
  readonly key: string | undefined
  readonly digest: string
  readonly limit: number
}
interface Changing {
  readonly set: Fields
  readonly removed: readonly string[]
  readonly enable?: boolean | undefined
  readonly forAll?: boolean | undefined
  readonly rotate?: string | undefined
}
type Begun =
  | readonly ['stale' | 'empty']
  | readonly ['send', delivery: string, now: number, webhook: readonly string[], fields: readonly string[]]

interface WebhookScripts {
  ccCreateWebhook(making: Making): Made
  ccChangeWebhook(change: Changing & { readonly id: string; readonly rotationMs: number }): 0 | 1
  ccRemoveWebhook(id: string): readonly [0 | 1, left: number]
  ccTakeEntry(taken: { entry: string; deliveries: readonly NewDelivery[]; most: number }): 0 | 1
  ccAddTest(added: { delivery: NewDelivery; most: number }): 0 | 1
  ccRedeliver(webhookId: string, id: string): 0 | 1
  ccGrantTurns(most: number, lastMs: number): readonly string[]
  ccBeginTurn(webhookId: string, line: string, fence: string, lastMs: number): Begun
  ccSettleTurn(settled: Settlement & Turn): 'stale' | 'settled' | 'disabled'
}

export interface Page<Item> {
  readonly items: Item[]
  readonly nextCursor: string | null
}

/** The webhooks and their deliveries. */
export interface WebhookStore {
  get(id: string): Promise<StoredWebhook | undefined>
  /** Newest first, of one token or of all. */
  list(owner: string | undefined, limit: number, cursor: string | undefined): Promise<Page<StoredWebhook>>
  create(making: Making): Promise<Made>
  /** false: there is no such webhook. */
  change(id: string, change: Changing): Promise<boolean>
  remove(id: string): Promise<boolean>
  /** What is told of a token's executions goes to these, those for all tokens included. */
  hearing(owner: string): Promise<StoredWebhook[]>
  /** The oldest entries of the outbox. */
  entries(): Promise<OutboxEntry[]>
  take(entry: string, deliveries: readonly NewDelivery[], most: number): Promise<void>
  /** false: too many wait, or there is no such webhook. */
  addTest(delivery: NewDelivery, most: number): Promise<boolean>
  redeliver(webhookId: string, id: string): Promise<boolean>
  delivery(webhookId: string, id: string): Promise<Delivery | undefined>
  deliveries(
    webhookId: string,
    statuses: readonly DeliveryStatus[] | undefined,
    limit: number,
    cursor: string | undefined,
  ): Promise<Page<Delivery>>
  grant(most: number, lastMs: number): Promise<Turn[]>
  begin(turn: Turn, lastMs: number): Promise<Sending | undefined>
  settle(turn: Turn, settlement: Settlement): Promise<'stale' | 'settled' | 'disabled'>
  /** Milliseconds since the epoch by Redis' clock. */
  time(): Promise<number>
  readonly channel: string
}

const toObject = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: values.length / 2 }, (_, index) => [values[index * 2] ?? '', values[index * 2 + 1] ?? '']),
  )

export function createWebhookStore(redis: Redis, prefix: string): WebhookStore {
  const root = keyRoot(prefix)
  const run = openScripts<WebhookScripts>(redis, root, SCRIPTS)
  async function time(): Promise<number> {
    const [seconds, microseconds] = await redis.time()
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
  }
  async function read(ids: readonly string[]): Promise<StoredWebhook[]> {
    const [now, ...found] = await Promise.all([time(), ...ids.map((id) => redis.hgetall(`${root}:webhook:${id}`))])
    return found.flatMap((fields, index) => toStoredWebhook(ids[index] ?? '', fields, now) ?? [])
  }
  const get = async (id: string): Promise<StoredWebhook | undefined> => (await read([id]))[0]
  const getDelivery = async (webhookId: string, id: string): Promise<Delivery | undefined> =>
    toDelivery(id, webhookId, await redis.hgetall(`${root}:delivery:${id}`))
  /** A page of ids, newest first. */
  async function page(key: string, limit: number, cursor: string | undefined): Promise<Page<string>> {
    const below = cursor === undefined ? '+' : `(${cursor}`
    const ids = await redis.zrevrangebylex(key, below, '-', 'LIMIT', 0, limit + 1)
    return { items: ids.slice(0, limit), nextCursor: ids.length > limit ? (ids[limit - 1] ?? null) : null }
  }
  return {
    channel: `${root}:outbox-news`,
    time,
    get,
    async list(owner, limit, cursor) {
      const { items, nextCursor } = await page(
        owner === undefined ? `${root}:webhooks` : `${root}:webhooks:${owner}`,
        limit,
        cursor,
      )
      return { items: await read(items), nextCursor }
    },
    create: (making) => run('ccCreateWebhook', making),
    change: async (id, change) => (await run('ccChangeWebhook', { ...change, id, rotationMs: ROTATION_MS })) === 1,
    async remove(id) {
      const [removed] = await run('ccRemoveWebhook', id)
      for (let left = 1; left > 0;) [, left] = await run('ccRemoveWebhook', id)
      return removed === 1
    },
    async hearing(owner) {
      const ids = await Promise.all([owner, '*'].map((of) => redis.smembers(`${root}:webhooks-hearing:${of}`)))
      return read(ids.flat())
    },
    async entries() {
      return (await redis.xrange(`${root}:outbox`, '-', '+', 'COUNT', ENTRIES)).map(toEntry)
    },
    async take(entry, deliveries, most) {
      await run('ccTakeEntry', { entry, deliveries, most })
    },
    addTest: async (delivery, most) => (await run('ccAddTest', { delivery, most })) === 1,
    redeliver: async (webhookId, id) => (await run('ccRedeliver', webhookId, id)) === 1,
    delivery: getDelivery,
    async deliveries(webhookId, statuses, limit, cursor) {
      const found: Delivery[] = []
      // A page is as long as asked for, however few of all have the status.
      for (let from = cursor; ;) {
        const { items, nextCursor } = await page(`${root}:deliveries:${webhookId}`, limit, from)
        const read = await Promise.all(items.map((id) => getDelivery(webhookId, id)))
        found.push(...read.flatMap((one) => (one && (statuses?.includes(one.status) ?? true) ? [one] : [])))
        if (found.length > limit) return { items: found.slice(0, limit), nextCursor: found[limit - 1]?.id ?? null }
        if (nextCursor === null) return { items: found, nextCursor: null }
        from = nextCursor
      }
    },
    async grant(most, lastMs) {
      const granted = await run('ccGrantTurns', most, lastMs)
      return Array.from({ length: granted.length / 3 }, (_, index) => ({
        webhookId: granted[index * 3] ?? '',
        line: granted[index * 3 + 1] ?? '',
        fence: granted[index * 3 + 2] ?? '',
      }))
    },
    async begin({ webhookId, line, fence }, lastMs) {
      const begun = await run('ccBeginTurn', webhookId, line, fence, lastMs)
      if (begun[0] !== 'send') return undefined
      const [, id, now, ofWebhook, ofDelivery] = begun
      const fields: Partial<Record<string, string>> = toObject(ofDelivery)
      const webhook = toStoredWebhook(webhookId, toObject(ofWebhook), now)
      const delivery = toDelivery(id, webhookId, fields)
      if (!webhook || !delivery) return undefined
      return { webhook, delivery, body: fields['body'] ?? '', tries: Number(fields['tries'] ?? 0) }
    },
    settle: (turn, settlement) => run('ccSettleTurn', { ...turn, ...settlement }),
  }
}
