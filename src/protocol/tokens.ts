import * as z from 'zod'
import type { Scope } from './caller.js'
import { ExecutionId, ExecutionReference, Timestamp } from './ids.js'
import { BUDGET_LIMIT_TOKENS, BUDGET_LIMIT_USD, CONCURRENT_LIMIT, TICKET_SECONDS } from './limits.js'

export const SCOPES = ['read', 'execute', 'approve', 'admin'] as const satisfies readonly Scope[]
/** What a token of one execution may be given: to watch it, and to decide for it. */
export const WATCHING_SCOPES: readonly Scope[] = ['read', 'approve']

const Scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .max(SCOPES.length)
  .meta({ description: 'What it may do; `admin` includes the others.' })
const Name = z
  .string()
  .regex(/^(?! )[^\p{C}\p{Zl}\p{Zp}]{1,64}(?<! )$/u, 'expected 1 to 64 characters, none of them a control character')
  .meta({ description: 'For display. A name can be reused; the new token inherits nothing.' })
const ExpiresAt = z.iso
  .datetime({ offset: true })
  .meta({ description: 'From then on it is rejected, and its open connections are closed.' })
const DailyUsd = z.number().positive().max(BUDGET_LIMIT_USD).meta({
  description: 'What it may spend on a UTC day, in place of `CC_EXECUTOR_DAILY_BUDGET_USD`.',
})
const DailyTokens = z.int().positive().max(BUDGET_LIMIT_TOKENS).meta({
  description: 'What it may use on a UTC day, in place of `CC_EXECUTOR_DAILY_BUDGET_TOKENS`.',
})
const MaxConcurrent = z.int().positive().max(CONCURRENT_LIMIT).meta({
  description: 'How many of its executions may run at the same time; further ones wait without delaying other tokens.',
})

export const TokenRequest = z
  .strictObject({
    name: Name,
    scopes: Scopes,
    expiresAt: ExpiresAt.optional(),
    dailyBudgetUsd: DailyUsd.optional(),
    dailyBudgetTokens: DailyTokens.optional(),
    maxConcurrent: MaxConcurrent.optional(),
    executionId: ExecutionReference.optional().meta({
      description:
        'It may only watch this execution, which must be yours; scopes `read` and `approve` only. It is deleted ' +
        'with the execution.',
    }),
  })
  .meta({ id: 'TokenRequest' })
export type TokenRequest = z.infer<typeof TokenRequest>

export const TokenChange = z
  .strictObject({
    name: Name.optional(),
    scopes: Scopes.optional(),
    expiresAt: ExpiresAt.nullable().optional(),
    dailyBudgetUsd: DailyUsd.nullable().optional(),
    dailyBudgetTokens: DailyTokens.nullable().optional(),
    maxConcurrent: MaxConcurrent.nullable().optional(),
  })
  .meta({ id: 'TokenChange', description: 'Omitted fields are unchanged; null removes a field.' })
export type TokenChange = z.infer<typeof TokenChange>

export const Token = z
  .object({
    id: z.string().meta({ description: 'Executions and workspaces belong to it. Of a configured token: its name.' }),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    origin: z.enum(['api', 'environment', 'file']).meta({
      description:
        'Only tokens created by the API can be changed by it; the others belong to the operator’s configuration.',
    }),
    status: z.enum(['active', 'expired']),
    createdAt: Timestamp.optional(),
    createdBy: z.string().optional().meta({ description: 'The id of the token that created it.' }),
    expiresAt: Timestamp.optional(),
    dailyBudgetUsd: z.number().optional(),
    dailyBudgetTokens: z.number().optional(),
    maxConcurrent: z.number().optional(),
    executionId: ExecutionId.optional(),
  })
  .meta({ id: 'Token', description: 'A token. Its secret is not shown; only the SHA-256 of the secret is stored.' })
export type Token = z.infer<typeof Token>

export const NewToken = Token.extend({
  secret: z.string().meta({ description: 'Sent as `Authorization: Bearer`. It is not shown again.' }),
}).meta({ id: 'NewToken' })
export type NewToken = z.infer<typeof NewToken>

export const TokenPage = z
  .object({ tokens: z.array(Token), nextCursor: z.string().nullable() })
  .meta({ id: 'TokenPage', description: 'Configured tokens, then those created by the API, newest first.' })
export type TokenPage = z.infer<typeof TokenPage>

export const TicketRequest = z
  .strictObject({
    executionId: ExecutionReference.optional().meta({
      description: 'With it the ticket may only watch this execution; otherwise it may do what the token may.',
    }),
  })
  .meta({ id: 'TicketRequest' })
export type TicketRequest = z.infer<typeof TicketRequest>

export const Ticket = z
  .object({
    ticket: z.string().meta({
      description: 'As `?ticket=` in the address of a WebSocket or of an event stream, once.',
    }),
    expiresAt: Timestamp.meta({ description: `${TICKET_SECONDS} seconds from now.` }),
  })
  .meta({ id: 'Ticket' })
export type Ticket = z.infer<typeof Ticket>
