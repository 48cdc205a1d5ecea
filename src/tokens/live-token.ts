import type { Caller } from '../protocol/caller.js'
import { WATCHING_SCOPES } from '../protocol/tokens.js'
import { hasExpired, type StoredToken } from './stored-token.js'

/** Of setTimeout; a later expiry is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export type EndOfToken = 'revoked' | 'expired' | 'restricted'

/** A caller, and word of the moment from which on it must be served no more. */
export interface Access {
  readonly caller: Caller
  /** Why it has ended; undefined: it has not. */
  readonly ended: EndOfToken | undefined
  /** Called once, when it ends. The returned function forgets the listener. */
  onEnd(listener: (why: EndOfToken) => void): () => void
}

interface OwnAccess extends Access {
  end(why: EndOfToken): void
  isHeld(): boolean
}

const NOTHING = (): void => undefined

/** Of a token that only a restart can change. */
export const lastingAccess = (caller: Caller): Access => ({ caller, ended: undefined, onEnd: () => NOTHING })

/** The same access for one execution: to watch it, and to decide for it where the token may. */
export function narrowAccess(access: Access, executionId: string): Access {
  const { caller } = access
  return {
    caller: {
      id: caller.id,
      get name() {
        return caller.name
      },
      get scopes() {
        return new Set(WATCHING_SCOPES.filter((scope) => caller.scopes.has(scope)))
      },
      executionId,
    },
    get ended() {
      return access.ended
    },
    onEnd: (listener) => access.onEnd(listener),
  }
}

/**
 * A token as this process knows it, with those that wait for its end. Whoever got an access from it loses that at the
 * end, and where a scope is taken away; who comes afterwards gets another one.
 */
export class LiveToken {
  readonly #now: () => number
  #token: StoredToken
  #ended: EndOfToken | undefined
  #access: OwnAccess
  #timer: NodeJS.Timeout | undefined
  /** When this was read, and when it was last asked for; milliseconds of performance.now(). */
  readAt = performance.now()
  usedAt = performance.now()
  /** A change was told that has not been read yet. */
  isStale = false

  /** now: by Redis' clock. */
  constructor(token: StoredToken, now: () => number) {
    this.#token = token
    this.#now = now
    this.#access = this.#openAccess()
    this.#watchExpiry()
  }

  get token(): StoredToken {
    return this.#token
  }

  /** undefined once it has ended. */
  get access(): Access | undefined {
    if (this.#ended === undefined && hasExpired(this.#token, this.#now())) this.end('expired')
    return this.#ended === undefined ? this.#access : undefined
  }

  update(token: StoredToken): void {
    if (this.#ended !== undefined) return
    const lost = [...this.#token.scopes].some((scope) => !token.scopes.has(scope))
    this.#token = token
    this.readAt = performance.now()
    this.isStale = false
    if (lost) {
      const before = this.#access
      this.#access = this.#openAccess()
      before.end('restricted')
    }
    this.#watchExpiry()
  }

  end(why: EndOfToken): void {
    if (this.#ended !== undefined) return
    this.#ended = why
    clearTimeout(this.#timer)
    this.#access.end(why)
  }

  /** Something is open that its end would close. */
  get isHeld(): boolean {
    return this.#access.isHeld()
  }

  /** The process ends: nothing is looked at any more, and what is open is ended by others. */
  release(): void {
    clearTimeout(this.#timer)
  }

  #watchExpiry(): void {
    clearTimeout(this.#timer)
    const { expiresAt } = this.#token
    if (expiresAt === undefined || this.#ended !== undefined) return
    const look = (): void => (hasExpired(this.#token, this.#now()) ? this.end('expired') : this.#watchExpiry())
    this.#timer = setTimeout(look, Math.min(Math.max(0, expiresAt - this.#now()), LONGEST_TIMER_MS))
    this.#timer.unref()
  }

  /** Its caller shows the token as it now is: a raised budget counts on an open socket, too. */
  #openAccess(): OwnAccess {
    const now = (): StoredToken => this.#token
    const listeners = new Set<(why: EndOfToken) => void>()
    let ended: EndOfToken | undefined
    const { id, executionId } = this.#token
    const caller: Caller = {
      id,
      get name() {
        return now().name
      },
      get scopes() {
        return now().scopes
      },
      get dailyBudget() {
        const { dailyUsd, dailyTokens } = now()
        return { usd: dailyUsd, tokens: dailyTokens }
      },
      executionId,
    }
    return {
      caller,
      get ended() {
        return ended
      },
      onEnd(listener) {
        if (ended !== undefined) {
          listener(ended)
          return NOTHING
        }
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
      isHeld: () => listeners.size > 0,
      end(why) {
        ended ??= why
        const waiting = [...listeners]
        listeners.clear()
        for (const listener of waiting) listener(why)
      },
    }
  }
}
