import { addSums, NO_SUMS, toDate, toDayNumber, type UsageEntry } from '../../history/usage-ledger.js'
import { fromStore } from '../../platform/redis.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import {
  USAGE_DEFAULT_DAYS,
  USAGE_RANGE_DAYS,
  type UsageGroup,
  type UsageReport,
  type UsageRow,
} from '../../protocol/usage.js'
import type { ReadServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

export interface UsageFilters {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly groupBy?: readonly UsageGroup[] | undefined
  readonly token?: string | undefined
}

const EVERYBODY = '*'
const NOTE =
  'Dollars are the CLI’s estimate from list prices, not an invoice; they are not meaningful under a ' +
  'subscription, where nothing is billed by them. Days are UTC, and an execution counts on the day on ' +
  'which it was accepted, once it has ended.'

function toRange({ from, to }: UsageFilters, today: number): { first: number; last: number } {
  const last = to === undefined ? Math.max(today, from === undefined ? today : toDayNumber(from)) : toDayNumber(to)
  const first = from === undefined ? last - USAGE_DEFAULT_DAYS + 1 : toDayNumber(from)
  if (first > last) throw toInvalidRequest([{ path: 'from', message: 'must not be after to' }])
  if (last - first >= USAGE_RANGE_DAYS)
    throw toInvalidRequest([
      { path: 'from', message: `${USAGE_RANGE_DAYS} days at most can be summed up in one request` },
    ])
  return { first, last }
}

function toRows(entries: readonly UsageEntry[], groupBy: readonly UsageGroup[]): UsageRow[] {
  const rows = new Map<string, UsageRow>()
  for (const { sums, ...of } of entries) {
    const group = Object.fromEntries(groupBy.flatMap((name) => (of[name] === undefined ? [] : [[name, of[name]]])))
    const name = JSON.stringify(groupBy.map((one) => of[one] ?? null))
    rows.set(name, { ...group, ...addSums(rows.get(name) ?? NO_SUMS, sums) })
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

/**
 * What was spent, by day, model and token: the caller's own, and with the admin scope anybody's.
 * @throws ExecutorError INVALID_REQUEST, FORBIDDEN, STORE_UNAVAILABLE
 */
export async function getUsage(
  { ledger, config }: ReadServices,
  filters: UsageFilters,
  caller: Caller,
): Promise<UsageReport> {
  const token = filters.token ?? caller.id
  if (token !== caller.id && !caller.scopes.has('admin'))
    throw new ExecutorError('FORBIDDEN', {
      detail: "token: reading other tokens' usage requires the admin scope.",
      errors: [{ path: 'token', message: 'needs the admin scope' }],
    })
  const simulated = config.simulatorUrl !== undefined
  const today = await fromStore(ledger.today())
  const { first, last } = toRange(filters, today)
  const groupBy = [...new Set(filters.groupBy ?? (['day'] as const))]
  const read = groupBy.includes('credential') ? ledger.readByCredential : ledger.read
  const entries = (await fromStore(read(first, last, simulated))).filter(
    (entry) => token === EVERYBODY || entry.token === token,
  )
  const rows = toRows(entries, groupBy)
  const { resetsAt, usd, tokens } = await fromStore(ledger.book(today, caller.id, simulated))
  const limits = {
    usd: caller.dailyBudget?.usd ?? config.dailyBudgetUsd ?? null,
    tokens: caller.dailyBudget?.tokens ?? config.dailyBudgetTokens ?? null,
  }
  return {
    from: toDate(first),
    to: toDate(last),
    groupBy,
    token,
    rows,
    total: rows.reduce(addSums, NO_SUMS),
    budget:
      token === caller.id
        ? {
            resetsAt: resetsAt.toISOString(),
            usd: { limit: limits.usd, ...usd },
            tokens: { limit: limits.tokens, ...tokens },
          }
        : undefined,
    basis: 'cli_estimate',
    note: NOTE,
    simulated,
  }
}
