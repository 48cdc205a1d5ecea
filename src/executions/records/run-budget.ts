import { MICRO } from '../../history/units.js'
import type { RunBudget } from '../../protocol/usage.js'

type Amounts = ReadonlyArray<string | null | undefined>

const sum = (amounts: Amounts): number | undefined =>
  amounts.every((amount) => !amount) ? undefined : amounts.reduce((total, amount) => total + Number(amount ?? 0), 0)

/**
 * What one run may spend in all, from its record: what it had spent when it was parked, and what is reserved for it; in
 * micro dollars and tokens as text. undefined where there is no limit.
 */
export function toRunBudget(usd: Amounts, tokens: Amounts): RunBudget | undefined {
  const micro = sum(usd)
  const limit = { usd: micro === undefined ? undefined : micro / MICRO, tokens: sum(tokens) }
  return limit.usd === undefined && limit.tokens === undefined ? undefined : limit
}
