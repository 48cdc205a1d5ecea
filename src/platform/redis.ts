import { Redis, type RedisOptions } from 'ioredis'
import { ExecutorError } from '../protocol/errors.js'
import { joinWrites, limitCommandTime } from './command-deadline.js'
import type { Logger } from './logger.js'
import { toRedisAddress } from './redis-address.js'
import { closeSocketsBefore, RedisConnector } from './redis-connector.js'
import type { RedisAccess } from './redis-url.js'

export type { Redis }

const RECONNECT_CEILING_MS = 1_000
/**
 * A connection on which an answer is missing for so long is given up for a new one: it may lead nowhere without anybody
 * having closed it
 * (a firewall that was restarted), and the kernel would find out after a quarter of an hour.
 */
const SILENCE_MS = 2_000
const RECONNECT_AND_RESEND = 2
/** Of an outage; further kinds are not told. */
const ERROR_KINDS = 10

/** Which Redis. */
export interface RedisTarget {
  readonly url: string
  readonly access?: RedisAccess | undefined
}

export interface RedisSettings extends RedisTarget {
  readonly logger: Logger
  /**
   * `caller`: somebody waits for the answer, so a command fails soon.
   * `keeper`: what a worker has to say is kept and sent when Redis is back.
   * `subscriber`: receives published messages.
   */
  readonly role: 'caller' | 'keeper' | 'subscriber'
}

/**
 * Options for ioredis and BullMQ alike. A primary that was made a replica keeps its connections and refuses to write:
 * a new connection may lead to the primary of today (by a name, or a proxy that looks at the role), and the refused
 * command is sent again on it.
 */
export function redisOptions({ url, access }: RedisTarget): RedisOptions {
  return {
    ...toRedisAddress(url, access),
    socketTimeout: SILENCE_MS,
    // Before Redis 7 a script tells it within an error of its own.
    reconnectOnError: ({ message }) =>
      /^(?:READONLY|UNBLOCKED)\b|-READONLY /.test(message) ? RECONNECT_AND_RESEND : false,
  }
}

/**
 * By address: the primary that the last look has found there, and all times at which one there has become it. A
 * balancer that leads to several in turn is no failover: each of them has everybody leave the others once at most.
 */
const primaries = new Map<string, { readonly id: string; readonly terms: Set<string> }>()

/**
 * Connections that only read or listen are never refused by a former primary, and would stay with it, however old what
 * it knows becomes. So whoever finds another primary at the address has all of this process leave the one before.
 */
function openLeader({ url, access, ...settings }: RedisTarget & RedisOptions): Redis {
  const address = toRedisAddress(url, access)
  const { host, port } = address
  if (host === undefined || port === undefined) return new Redis({ ...redisOptions({ url, access }), ...settings })
  let openedAt = 0
  class Connector extends RedisConnector {
    override async connect(): ReturnType<RedisConnector['connect']> {
      const stream = await super.connect()
      openedAt = this.openedAt
      return stream
    }
  }
  const redis = new Redis({ ...redisOptions({ url, access }), ...settings, Connector })
  const leaveFormerPrimary = async (): Promise<void> => {
    const since = openedAt
    const info = await redis.info()
    const id = /^run_id:(\w+)/m.exec(info)?.[1]
    if (id === undefined || !/^role:master/m.test(info)) return
    const before = primaries.get(url)
    const terms = before?.terms ?? new Set()
    // Its own name lasts as long as its process; that of what it writes begins anew where it becomes the primary.
    const term = `${id} ${/^master_replid:(\w+)/m.exec(info)?.[1] ?? ''}`
    const isNew = !terms.has(term)
    primaries.set(url, { id, terms: terms.add(term) })
    if (before !== undefined && before.id !== id && isNew) closeSocketsBefore({ host, port }, since)
  }
  // Where it is not answered, the next connection looks.
  redis.on('ready', () => void leaveFormerPrimary().catch(() => undefined))
  return redis
}

/** Opens a connection, which reconnects by itself for ever; whoever opens it calls `closeRedis`. */
export function openRedis({ url, access, logger, role }: RedisSettings): Redis {
  const settings: RedisOptions = {
    retryStrategy: (attempt) => Math.min(50 * attempt, RECONNECT_CEILING_MS),
    connectTimeout: 5_000,
    maxRetriesPerRequest: role === 'caller' ? 1 : null,
    autoResubscribe: true,
  }
  // One that listens may ask nothing.
  const redis =
    role === 'subscriber'
      ? new Redis({ ...redisOptions({ url, access }), ...settings })
      : openLeader({ url, access, ...settings })
  if (role === 'caller') {
    limitCommandTime(redis)
    joinWrites(redis)
  }
  watchOutages(redis, role, logger)
  if (role === 'subscriber') pingPeriodically(redis)
  return redis
}

/** An outage is told when it begins, and when it is over with each error that it had: the first alone may mislead. */
function watchOutages(redis: Redis, role: RedisSettings['role'], logger: Logger): void {
  let outage: { readonly since: number; readonly errors: Map<string, number> } | undefined
  redis.on('error', (error: Error & { code?: string }) => {
    if (!outage) logger.warn({ role, err: error }, 'Redis cannot be reached')
    outage ??= { since: performance.now(), errors: new Map() }
    const kind = error.code ?? error.message
    if (outage.errors.has(kind) || outage.errors.size < ERROR_KINDS)
      outage.errors.set(kind, (outage.errors.get(kind) ?? 0) + 1)
  })
  redis.on('ready', () => {
    if (outage)
      logger.info(
        { role, downMs: Math.round(performance.now() - outage.since), errors: Object.fromEntries(outage.errors) },
        'Redis is back',
      )
    outage = undefined
  })
}

/** A connection that only listens would never miss an answer; so it asks for one. */
function pingPeriodically(redis: Redis): void {
  const timer = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(() => undefined)
  }, SILENCE_MS)
  // Who is closed between two connections is told of no end by ioredis.
  timer.unref()
  redis.once('end', () => clearInterval(timer))
}

/** Ends at once: whatever had to be confirmed was awaited before. */
export function closeRedis(redis: Redis): void {
  redis.disconnect()
}

/** Turns what a driver throws into STORE_UNAVAILABLE; ExecutorErrors pass. */
export async function fromStore<Result>(answer: Promise<Result>): Promise<Result> {
  try {
    return await answer
  } catch (cause) {
    if (cause instanceof ExecutorError) throw cause
    if (cause instanceof Error && /^OOM\b/.test(cause.message))
      throw new ExecutorError(
        'STORE_UNAVAILABLE',
        {
          detail:
            'The store is full: Redis is at its maxmemory. Running executions can be cancelled; new ones are ' +
            'rejected.',
        },
        { cause },
      )
    throw new ExecutorError(
      'STORE_UNAVAILABLE',
      { detail: 'The store did not respond; try again. A retry with the same Idempotency-Key is safe.' },
      { cause },
    )
  }
}

/** The root of every key. The whole prefix is a hash tag, so that one script may touch all keys of a deployment. */
export const keyRoot = (prefix: string): string => `{${prefix}}`

/** Redis' own clock, in milliseconds since the epoch. */
export async function readTime(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time()
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
}
