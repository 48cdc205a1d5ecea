import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { sha256 } from '../platform/hash.js'
import { keyRoot } from '../platform/redis.js'
import { openScripts } from '../platform/redis-scripts.js'
import type { Scope } from '../protocol/caller.js'
import { TICKET_SECONDS } from '../protocol/limits.js'
import { SCRIPTS } from './scripts.generated.js'

/** What a ticket stands for: a token, which must still be there when it is used, and perhaps one execution. */
export interface TicketMeaning {
  readonly tokenId: string
  /** Of the token when it was issued: several configured ones may have one name. */
  readonly scopes: readonly Scope[]
  readonly executionId?: string | undefined
}

interface TicketScripts {
  ccIssueTicket(digest: string, tokenId: string, meaning: TicketMeaning, milliseconds: number): number
  ccRedeemTicket(digest: string): string | null
}

export interface Tickets {
  issue(meaning: TicketMeaning): Promise<{ ticket: string; expiresAt: number }>
  /** Once. undefined: unknown, used or expired. */
  redeem(ticket: string): Promise<TicketMeaning | undefined>
}

/** Anything longer is none, and not even hashed. */
const TICKET = /^[\w-]{43}$/

export function createTickets(redis: Redis, prefix: string): Tickets {
  const run = openScripts<TicketScripts>(redis, keyRoot(prefix), SCRIPTS)
  return {
    async issue(meaning) {
      const ticket = randomBytes(32).toString('base64url')
      const milliseconds = TICKET_SECONDS * 1_000
      const expiresAt = await run('ccIssueTicket', sha256(ticket), meaning.tokenId, meaning, milliseconds)
      return { ticket, expiresAt }
    },
    async redeem(ticket) {
      if (!TICKET.test(ticket)) return undefined
      const meaning = await run('ccRedeemTicket', sha256(ticket))
      // Safe: `issue` wrote it.
      return meaning === null ? undefined : (JSON.parse(meaning) as TicketMeaning)
    },
  }
}
