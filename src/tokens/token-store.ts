import type { Redis } from 'ioredis'
import { keyRoot, readTime } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import { SCRIPTS } from './scripts.generated.js'
import { toStoredToken, type StoredToken, type TokenFields } from './stored-token.js'

/** Expired ones are listed at least so long; then they make room for new ones. */
const EXPIRED_KEPT_MS = 7 * 24 * 60 * 60 * 1_000

type Made = readonly ['created' | 'full' | 'missing' | 'withdrawn'] | readonly ['replayed' | 'conflict', id: string]

interface Making {
  readonly id: string
  readonly fields: TokenFields
  /** The Idempotency-Key. */
  readonly key: string | undefined
  readonly digest: string
}

interface TokenScripts {
  ccCreateToken(making: Making & { readonly limit: number; readonly keptMs: number }): Made
  ccChangeToken(id: string, fields: TokenFields, removed: readonly string[]): 0 | 1
  ccRemoveToken(id: string): 0 | 1
  ccLimitConfigured(limits: Readonly<Record<string, number>>): 'OK'
}

export interface TokenSettings {
  readonly prefix: string
  /** How many there may be, expired ones that are still listed counted. */
  readonly maxTokens: number
}

/** The tokens that the API has made. */
export interface TokenStore {
  get(id: string): Promise<StoredToken | undefined>
  /** Newest first; the cursor is the last id that was seen. */
  list(limit: number, cursor: string | undefined): Promise<{ tokens: StoredToken[]; nextCursor: string | null }>
  create(making: Making): Promise<Made>
  /** false: there is no such token. */
  change(id: string, set: TokenFields, removed: readonly string[]): Promise<boolean>
  /** false: there is no such token; of two at once one has removed it. */
  remove(id: string): Promise<boolean>
  /** Of configured tokens, by id, how many each may have at work; 0: any number. */
  limitConfigured(limits: Readonly<Record<string, number>>): Promise<void>
  /** Milliseconds since the epoch by Redis' clock, which the scripts judge by; as it was with the last answer. */
  readonly now: () => number
  /** Asks for it. */
  time(): Promise<number>
  /** Grows with every change of any token. */
  revision(): Promise<string | null>
  readonly channel: string
}

export function createTokenStore(redis: Redis, { prefix, maxTokens }: TokenSettings): TokenStore {
  const root = keyRoot(prefix)
  const run = openScripts<TokenScripts>(redis, root, SCRIPTS)
  /** Redis' time less our monotonic one; a guess until Redis has answered. */
  let offsetMs = Date.now() - performance.now()
  async function time(): Promise<number> {
    const now = await readTime(redis)
    offsetMs = now - performance.now()
    return now
  }
  /** With the time, in one round trip. */
  async function timed<Answer>(read: Promise<Answer>): Promise<Answer> {
    return (await Promise.all([read, time()]))[0]
  }
  const get = async (id: string): Promise<StoredToken | undefined> =>
    toStoredToken(id, await timed(redis.hgetall(`${root}:token:${id}`)))
  return {
    channel: `${root}:token-changes`,
    get,
    time,
    now: () => performance.now() + offsetMs,
    async list(limit, cursor) {
      const below = cursor === undefined ? '+' : `(${cursor}`
      const ids = await redis.zrevrangebylex(`${root}:tokens`, below, '-', 'LIMIT', 0, limit + 1)
      const found = await Promise.all(ids.slice(0, limit).map(get))
      return {
        tokens: found.filter((token) => token !== undefined),
        nextCursor: ids.length > limit ? (ids[limit - 1] ?? null) : null,
      }
    },
    create: (making) => run('ccCreateToken', { ...making, limit: maxTokens, keptMs: EXPIRED_KEPT_MS }),
    change: async (id, set, removed) => (await run('ccChangeToken', id, set, removed)) === 1,
    remove: async (id) => (await run('ccRemoveToken', id)) === 1,
    async limitConfigured(limits) {
      await run('ccLimitConfigured', limits)
    },
    revision: () => timed(redis.get(`${root}:token-revision`)),
  }
}
