import type { Scope } from '../protocol/caller.js'
import { definedFields } from '../protocol/defined-fields.js'
import { SCOPES, type Token, type TokenChange, type TokenRequest } from '../protocol/tokens.js'

/** A token that the API made, as it is kept: of its secret only the SHA-256. */
export interface StoredToken {
  readonly id: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly sha256: Buffer
  readonly createdAt: number
  readonly createdBy: string
  readonly expiresAt?: number | undefined
  readonly dailyUsd?: number | undefined
  readonly dailyTokens?: number | undefined
  readonly maxConcurrent?: number | undefined
  readonly executionId?: string | undefined
}

/** As the hash holds them: texts, so that no number passes through Lua's. */
export type TokenFields = Readonly<Record<string, string>>

const time = (text: string): string => String(Date.parse(text))

export function toFields(
  { name, scopes, expiresAt, dailyBudgetUsd, dailyBudgetTokens, maxConcurrent, executionId }: TokenRequest,
  more: { readonly sha256: string; readonly createdAt: number; readonly createdBy: string },
): TokenFields {
  return definedFields({
    name,
    scopes: scopes.join('+'),
    sha256: more.sha256,
    createdAt: String(more.createdAt),
    createdBy: more.createdBy,
    expiresAt: expiresAt === undefined ? undefined : time(expiresAt),
    dailyUsd: dailyBudgetUsd?.toString(),
    dailyTokens: dailyBudgetTokens?.toString(),
    maxConcurrent: maxConcurrent?.toString(),
    executionId,
  })
}

/** What is set and what is removed; what the change leaves out is neither. */
export function toChangedFields(change: TokenChange): { set: TokenFields; removed: readonly string[] } {
  const text = (number: number | null | undefined): string | null | undefined =>
    typeof number === 'number' ? String(number) : number
  const wanted: Record<string, string | null | undefined> = {
    name: change.name,
    scopes: change.scopes?.join('+'),
    expiresAt: typeof change.expiresAt === 'string' ? time(change.expiresAt) : change.expiresAt,
    dailyUsd: text(change.dailyBudgetUsd),
    dailyTokens: text(change.dailyBudgetTokens),
    maxConcurrent: text(change.maxConcurrent),
  }
  return {
    set: Object.fromEntries(
      Object.entries(wanted).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    ),
    removed: Object.entries(wanted).flatMap(([name, value]) => (value === null ? [name] : [])),
  }
}

/** undefined where there is no such token. */
export function toStoredToken(id: string, fields: Partial<Record<string, string>>): StoredToken | undefined {
  const { name, scopes, sha256, createdAt, createdBy, executionId } = fields
  if (sha256 === undefined) return undefined
  const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text))
  const named = new Set(scopes?.split('+'))
  return {
    id,
    name: name ?? '',
    scopes: new Set(SCOPES.filter((scope) => named.has('admin') || named.has(scope))),
    sha256: Buffer.from(sha256, 'hex'),
    createdAt: Number(createdAt),
    createdBy: createdBy ?? '',
    expiresAt: number(fields['expiresAt']),
    dailyUsd: number(fields['dailyUsd']),
    dailyTokens: number(fields['dailyTokens']),
    maxConcurrent: number(fields['maxConcurrent']),
    executionId,
  }
}

/** now: by Redis' clock, as the scripts judge it. */
export const hasExpired = ({ expiresAt }: Pick<StoredToken, 'expiresAt'>, now: number): boolean =>
  expiresAt !== undefined && expiresAt <= now

/** As it is shown. */
export function toToken(token: StoredToken, now: number): Token {
  const { id, name, scopes, createdAt, createdBy, expiresAt, dailyUsd, dailyTokens, maxConcurrent, executionId } = token
  return {
    id,
    name,
    scopes: [...scopes],
    origin: 'api',
    status: hasExpired(token, now) ? 'expired' : 'active',
    createdAt: new Date(createdAt).toISOString(),
    createdBy,
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
    dailyBudgetUsd: dailyUsd,
    dailyBudgetTokens: dailyTokens,
    maxConcurrent,
    executionId,
  }
}
