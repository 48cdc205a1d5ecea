import type { Redis } from 'ioredis'
import type { Logger } from '../platform/logger.js'
import type { Token } from '../protocol/tokens.js'
import { openTokenAccess, type TokenAccess } from './token-access.js'
import { createTickets, type Tickets } from './tickets.js'
import { createTokenStore, type TokenSettings, type TokenStore } from './token-store.js'

export interface TokenServices {
  readonly store: TokenStore
  readonly access: TokenAccess
  readonly tickets: Tickets
  /** Puts the limits of configured tokens in force, now and whenever Redis has come back, perhaps empty. */
  limitConfigured(configured: readonly Token[]): Promise<void>
}

interface OpenOptions {
  readonly redis: Redis
  readonly subscriber: Redis
  readonly config: TokenSettings
  readonly logger: Logger
}

/** Whoever opens them closes their `access`. */
export function openTokenServices({ redis, subscriber, config, logger }: OpenOptions): TokenServices {
  const store = createTokenStore(redis, config)
  return {
    store,
    access: openTokenAccess({ store, subscriber, logger }),
    tickets: createTickets(redis, config.prefix),
    async limitConfigured(configured) {
      if (configured.length === 0) return
      const limits = Object.fromEntries(configured.map(({ id, maxConcurrent = 0 }) => [id, maxConcurrent]))
      const write = (): Promise<void> => store.limitConfigured(limits)
      subscriber.on('ready', () => void write().catch((err: unknown) => logger.warn({ err }, 'limits are not stored')))
      await write()
    },
  }
}
