import type { Redis } from 'ioredis'
import type { Logger } from '../platform/logger.js'
import { LiveToken, type Access } from './live-token.js'
import type { StoredToken } from './stored-token.js'
import { isSecretOf, toTokenId } from './token-id.js'
import type { TokenStore } from './token-store.js'

/** A token is believed for so long without a look at Redis, whatever became of the messages. */
export const BELIEVED_MS = 5_000
/** Twice within that, so that one look that comes late does no harm. */
const LOOK_MS = 2_000
/** One that nobody asks for, and that holds nothing open, is forgotten. */
const IDLE_MS = 60_000

/**
 * Who a secret belongs to, and for how long. Tokens that were used lately are kept here, so that a request costs no
 * look at Redis; a change is told by a message to every API process. Messages may be lost: a number in Redis that grows
 * with every change is looked at too, and where it is not the expected one every token is read again.
 */
export interface TokenAccess {
  /** @throws an error of the driver, where the token is not known here and Redis cannot be asked */
  find(secret: string): Promise<Access | undefined>
  findById(id: string): Promise<Access | undefined>
  /** What this process has changed itself is in force before it answers. */
  apply(what: 'changed' | 'removed', id: string): Promise<void>
  close(): void
}

interface AccessOptions {
  readonly store: TokenStore
  /** A connection that only listens. */
  readonly subscriber: Redis
  readonly logger: Logger
}

export function openTokenAccess({ store, subscriber, logger }: AccessOptions): TokenAccess {
  const live = new Map<string, LiveToken>()
  const reading = new Map<string, Promise<LiveToken | undefined>>()
  const channel = Buffer.from(store.channel)
  /** Grows with every message: what was read while one came may be older than it. */
  let messages = 0
  let revision: string | null | undefined
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  subscriber.on('messageBuffer', (from: Buffer, message: Buffer) => {
    if (!from.equals(channel)) return
    const [what, id = ''] = message.toString().split(' ')
    void apply(what === 'removed' ? 'removed' : 'changed', id).catch(() => undefined)
  })
  const listen = (): void => void subscriber.subscribe(store.channel).catch(() => undefined)
  // What was told while the connection was down is seen by the revision.
  subscriber.on('ready', () => {
    listen()
    void look()
  })
  listen()
  const timer = setInterval(() => void look(), LOOK_MS)
  timer.unref()

  function forget(id: string, why: 'revoked'): void {
    live.get(id)?.end(why)
    live.delete(id)
  }

  function keep(token: StoredToken, id: string): LiveToken {
    const known = live.get(id)
    if (known?.access) {
      known.update(token)
      return known
    }
    // One that had expired, and was given more time: what it had open stays closed.
    const kept = new LiveToken(token, store.now)
    live.set(id, kept)
    return kept
  }

  async function readOnce(id: string): Promise<LiveToken | undefined> {
    for (;;) {
      const before = messages
      const token = await store.get(id)
      if (before !== messages) continue
      if (token) return keep(token, id)
      forget(id, 'revoked')
      return undefined
    }
  }

  function read(id: string): Promise<LiveToken | undefined> {
    let answer = reading.get(id)
    if (!answer) {
      answer = readOnce(id).finally(() => reading.delete(id))
      reading.set(id, answer)
    }
    return answer
  }

  async function apply(what: 'changed' | 'removed', id: string): Promise<void> {
    messages += 1
    if (what === 'removed') return forget(id, 'revoked')
    const known = live.get(id)
    if (!known) return
    known.isStale = true
    await read(id)
  }

  /** Whether what is kept here is still so. One at a time; without tokens there is nothing to look for. */
  function look(): Promise<void> {
    looking ??= confirm()
      .catch((err: unknown) => logger.debug({ err }, 'tokens could not be looked at; trying again'))
      .finally(() => {
        looking = undefined
      })
    return looking
  }

  async function confirm(): Promise<void> {
    if (live.size === 0) return
    const begun = performance.now()
    // It brings the time, too: what expired while this process slept ends now.
    const found = await store.revision()
    for (const [id, token] of live) {
      const isIdle = !token.isHeld && performance.now() - token.usedAt > IDLE_MS
      if (isIdle || token.access === undefined) live.delete(id)
    }
    if (found !== revision) await Promise.all([...live.keys()].map(read))
    revision = found
    lookedAt = begun
  }

  async function findById(id: string): Promise<Access | undefined> {
    let token = live.get(id)
    const now = performance.now()
    // At both moments Redis was asked; a change since then was told by a message, or that message was lost.
    if (!token || token.isStale || now - Math.max(token.readAt, lookedAt) > BELIEVED_MS) token = await read(id)
    if (!token) return undefined
    token.usedAt = now
    return token.access
  }

  return {
    apply,
    findById,
    async find(secret) {
      const id = toTokenId(secret)
      if (id === undefined) return undefined
      const access = await findById(id)
      const digest = live.get(id)?.token.sha256
      return access && digest && isSecretOf(secret, digest) ? access : undefined
    },
    close() {
      clearInterval(timer)
      for (const token of live.values()) token.release()
      live.clear()
    },
  }
}
