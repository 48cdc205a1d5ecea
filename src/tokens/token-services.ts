import type { Redis } from 'ioredis'
import type { Logger } from '../platform/logger.js'
import { openTokenAccess, type TokenAccess } from './token-access.js'
import { createTickets, type Tickets } from './tickets.js'
import { createTokenStore, type TokenSettings, type TokenStore } from './token-store.js'

export interface TokenServices {
  readonly store: TokenStore
  readonly access: TokenAccess
  readonly tickets: Tickets
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
  return { store, access: openTokenAccess({ store, subscriber, logger }), tickets: createTickets(redis, config.prefix) }
}
