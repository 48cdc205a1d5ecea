import type {
  NewToken,
  Ticket,
  TicketRequest,
  Token,
  TokenChange,
  TokenPage,
  TokenRequest,
} from '../protocol/tokens.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { Rest, RestCall } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal
}

export interface PageQuery {
  readonly limit?: number
  readonly cursor?: string
}

/** Tokens need the scope admin; a ticket is for whoever may read. */
export interface TokenCalls {
  /** With its secret, which is not shown again. */
  createToken(request: TokenRequest, options?: CallOptions): Promise<NewToken>
  /** A second time with the same key it is the token of the first time, without its secret. */
  createToken(
    request: TokenRequest,
    options: CallOptions & { readonly idempotencyKey: string },
  ): Promise<Token & Partial<Pick<NewToken, 'secret'>>>
  tokens(query?: PageQuery, options?: CallOptions): Promise<TokenPage>
  token(id: string, options?: CallOptions): Promise<Token>
  changeToken(id: string, change: TokenChange, options?: CallOptions): Promise<Token>
  /** Takes effect immediately; open connections of the token are closed. */
  revokeToken(id: string, options?: CallOptions): Promise<void>
  /** For `?ticket=` in the address of a browser's WebSocket or EventSource: once, within 30 seconds. */
  createTicket(request?: TicketRequest, options?: CallOptions): Promise<Ticket>
}

const at = (id: string): string => `/tokens/${encodeURIComponent(id)}`

export function createTokenCalls(rest: Rest): TokenCalls {
  // Safe: the service's own answers, in the shapes that the protocol publishes.
  const ask = <Answer>(call: RestCall): Promise<Answer> => rest.json(call) as Promise<Answer>
  return {
    createToken: (body: TokenRequest, { signal, idempotencyKey }: CallOptions & { idempotencyKey?: string } = {}) =>
      ask<NewToken>({
        method: 'POST',
        path: '/tokens',
        body,
        signal,
        headers: definedFields({ 'idempotency-key': idempotencyKey }),
      }),
    tokens: (query = {}, { signal } = {}) => ask({ path: '/tokens', query: { ...query }, signal }),
    token: (id, { signal } = {}) => ask({ path: at(id), signal }),
    changeToken: (id, body, { signal } = {}) => ask({ method: 'PATCH', path: at(id), body, signal }),
    async revokeToken(id, { signal } = {}) {
      await rest.text({ method: 'DELETE', path: at(id), signal })
    },
    createTicket: (body = {}, { signal } = {}) => ask({ method: 'POST', path: '/tickets', body, signal }),
  }
}
