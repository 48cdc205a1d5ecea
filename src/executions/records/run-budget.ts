import { MICRO } from '../../history/units.js'
import type { RunBudget } from '../../protocol/usage.js'

/** What one run may spend, from its record: micro dollars and tokens as text; undefined where there is no limit. */
export function toRunBudget(usd: string | null | undefined, tokens: string | null | undefined): RunBudget | undefined {
  if (!usd && !tokens) return undefined
  return { usd: usd ? Number(usd) / MICRO : undefined, tokens: tokens ? Number(tokens) : undefined }
}
