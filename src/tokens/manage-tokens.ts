import { sha256 } from '../platform/hash.js'
import { fromStore } from '../platform/redis.js'
import type { Caller, Scope } from '../protocol/caller.js'
import { ExecutorError, toInvalidRequest } from '../protocol/errors.js'
import {
  WATCHING_SCOPES,
  type NewToken,
  type Ticket,
  type Token,
  type TokenChange,
  type TokenPage,
  type TokenRequest,
} from '../protocol/tokens.js'
import { toChangedFields, toFields, toToken, type StoredToken } from './stored-token.js'
import { mintToken } from './token-id.js'
import type { TokenServices } from './token-services.js'

const DEFAULT_LIMIT = 100

const notFound = (id: string): ExecutorError =>
  new ExecutorError('TOKEN_NOT_FOUND', {
    detail: `There is no token ${JSON.stringify(id.slice(0, 100))}, or it has been revoked.`,
  })

function requireFuture(expiresAt: string | null | undefined, now: number): void {
  if (typeof expiresAt === 'string' && Date.parse(expiresAt) <= now)
    throw toInvalidRequest([{ path: 'expiresAt', message: 'must be in the future' }])
}

/** A token of one execution can do nothing else, so no other scope would ever be of use to it. */
function requireWatching(scopes: readonly Scope[] | undefined, executionId: string | undefined): void {
  if (executionId === undefined || scopes?.every((scope) => WATCHING_SCOPES.includes(scope)) !== false) return
  throw toInvalidRequest([
    { path: 'scopes', message: `a token of one execution can have ${WATCHING_SCOPES.join(' and ')} only` },
  ])
}

/** The token of the first time: its secret was shown then, and only its digest is kept. */
async function getReplayed(store: TokenServices['store'], id: string): Promise<Token> {
  const token = await fromStore(store.get(id))
  if (token) return toToken(token, store.now())
  throw new ExecutorError('TOKEN_NOT_FOUND', {
    detail: `This Idempotency-Key led to the token ${id}, which has been revoked. Use a new key to make another.`,
  })
}

/**
 * `executionId`, where it is given, is one that the caller may watch. Without a secret where the Idempotency-Key was
 * known. @throws ExecutorError
 */
export async function createToken(
  { store }: TokenServices,
  request: TokenRequest,
  caller: Caller,
  key?: string,
): Promise<NewToken | Token> {
  const now = await fromStore(store.time())
  requireFuture(request.expiresAt, now)
  requireWatching(request.scopes, request.executionId)
  const { id, secret } = mintToken()
  const fields = toFields(request, { sha256: sha256(secret), createdAt: now, createdBy: caller.id })
  const [answer, known] = await fromStore(store.create({ id, fields, key, digest: sha256(JSON.stringify(request)) }))
  switch (answer) {
    case 'full':
      throw new ExecutorError('RATE_LIMITED', {
        detail: 'There are CC_EXECUTOR_MAX_TOKENS tokens already; revoke those that are no longer used.',
      })
    case 'missing':
      throw new ExecutorError('EXECUTION_NOT_FOUND')
    case 'withdrawn':
      throw withdrawn()
    case 'conflict':
      throw new ExecutorError('IDEMPOTENCY_CONFLICT', {
        detail: 'This Idempotency-Key was used with another request; use a new key for a new token.',
      })
    case 'replayed':
      return getReplayed(store, known)
    case 'created':
      return { ...toToken(await requireToken(store, id), store.now()), secret }
  }
}

/** Of a request that was let in before its token was revoked, or expired. */
export const withdrawn = (): ExecutorError =>
  new ExecutorError('UNAUTHENTICATED', { detail: 'This token has been revoked, or has expired.' })

async function requireToken(store: TokenServices['store'], id: string): Promise<StoredToken> {
  const token = await fromStore(store.get(id))
  if (!token) throw notFound(id)
  return token
}

export async function listTokens(
  { store }: TokenServices,
  configured: readonly Token[],
  { limit = DEFAULT_LIMIT, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
): Promise<TokenPage> {
  const { tokens, nextCursor } = await fromStore(store.list(limit, cursor))
  return {
    tokens: [...(cursor === undefined ? configured : []), ...tokens.map((token) => toToken(token, store.now()))],
    nextCursor,
  }
}

/** @throws ExecutorError TOKEN_NOT_FOUND */
export async function getToken({ store }: TokenServices, configured: readonly Token[], id: string): Promise<Token> {
  return configured.find((token) => token.id === id) ?? toToken(await requireToken(store, id), store.now())
}

function requireMadeHere(configured: readonly Token[], id: string): void {
  const token = configured.find((one) => one.id === id)
  if (!token) return
  const place = token.origin === 'file' ? 'CC_EXECUTOR_TOKEN_FILE' : 'CC_EXECUTOR_TOKENS'
  throw new ExecutorError('FORBIDDEN', {
    detail: `${JSON.stringify(id)} is a token of the configuration: the operator changes it in ${place}, and restarts.`,
  })
}

/** @throws ExecutorError TOKEN_NOT_FOUND, FORBIDDEN, INVALID_REQUEST */
export async function changeToken(
  { store, access }: TokenServices,
  configured: readonly Token[],
  id: string,
  change: TokenChange,
): Promise<Token> {
  requireMadeHere(configured, id)
  requireFuture(change.expiresAt, await fromStore(store.time()))
  requireWatching(change.scopes, (await requireToken(store, id)).executionId)
  const { set, removed } = toChangedFields(change)
  if (!(await fromStore(store.change(id, set, removed)))) throw notFound(id)
  await fromStore(access.apply('changed', id))
  return toToken(await requireToken(store, id), store.now())
}

/** In force everywhere at once: nothing is accepted of it any more, and what it has open ends. */
export async function revokeToken(
  { store, access }: TokenServices,
  configured: readonly Token[],
  id: string,
): Promise<void> {
  requireMadeHere(configured, id)
  if (!(await fromStore(store.remove(id)))) throw notFound(id)
  await access.apply('removed', id)
}

export async function issueTicket(
  { tickets }: TokenServices,
  caller: Caller,
  executionId: string | undefined,
): Promise<Ticket> {
  const issued = await fromStore(tickets.issue({ tokenId: caller.id, scopes: [...caller.scopes], executionId }))
  return { ticket: issued.ticket, expiresAt: new Date(issued.expiresAt).toISOString() }
}
