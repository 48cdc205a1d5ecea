import type { Caller, Scope } from '../protocol/caller.js'
import { SCOPES, type Token } from '../protocol/tokens.js'
import { hasExpired } from './stored-token.js'
import { isTokenId } from './token-id.js'
import type { TokenStore } from './token-store.js'

/** A token as somebody who acts later for it finds it; `unknown`: not one of this process's configuration. */
export type Owner = Caller | 'revoked' | 'expired' | 'unknown'

/** Everybody, where the operator has chosen `open`. */
export const OPEN_CALLER: Caller = { id: 'open', name: 'open', scopes: new Set<Scope>(SCOPES) }

const toCaller = ({ id, name, scopes, dailyBudgetUsd, dailyBudgetTokens }: Token): Caller => ({
  id,
  name,
  scopes: new Set(scopes),
  dailyBudget: { usd: dailyBudgetUsd, tokens: dailyBudgetTokens },
})

/** What a token may do now. `configured`: undefined where the service runs open. */
export async function findOwner(
  store: Pick<TokenStore, 'get' | 'now'>,
  configured: readonly Token[] | undefined,
  id: string,
): Promise<Owner> {
  if (configured === undefined) return id === OPEN_CALLER.id ? OPEN_CALLER : 'unknown'
  const known = configured.find((token) => token.id === id)
  if (known) return toCaller(known)
  if (!isTokenId(id)) return 'unknown'
  const token = await store.get(id)
  if (!token) return 'revoked'
  if (hasExpired(token, store.now())) return 'expired'
  const { name, scopes, dailyUsd, dailyTokens } = token
  return { id, name, scopes, dailyBudget: { usd: dailyUsd, tokens: dailyTokens } }
}
