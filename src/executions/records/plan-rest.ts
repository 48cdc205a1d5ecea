import { MICRO } from '../../history/units.js'
import { type RunRequest, runOf } from '../../claude/command/run-request.js'
import type { Config } from '../../platform/config.js'
import type { Caller } from '../../protocol/caller.js'
import type { Usage } from '../../protocol/execution.js'
import type { ExecutionRecord } from './execution-record.js'
import { countTokens, withChanges } from './plan-budget.js'

type BudgetConfig = Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens' | 'dailyBudgetUsd' | 'dailyBudgetTokens'>
type Unit = 'usd' | 'tokens'
type Amounts = { readonly [Name in Unit]: number | undefined }

/** What an execution may spend from now on, in millionths of a dollar and in tokens; the script weighs it. */
interface WantedUnit {
  /** Its own limit, for all its attempts. */
  readonly total?: number
  /** Of its owner on a day. */
  readonly cap?: number
  /** What is left of the day will do. */
  readonly isRest?: boolean
}
export type WantedRest = { readonly [Name in Unit]?: WantedUnit }

const UNITS = ['usd', 'tokens'] as const

const toMicro = (usd: number | undefined): number | undefined =>
  usd === undefined ? undefined : Math.ceil(usd * MICRO)

/** As the scripts book it. */
export const spentOf = (usage: Usage): { readonly [Name in Unit]: number } => ({
  usd: Math.floor(usage.costUsd * MICRO + 0.5),
  tokens: countTokens(usage),
})

const least = (...limits: ReadonlyArray<number | undefined>): number | undefined => {
  const known = limits.filter((limit) => limit !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** What nobody but its caller can raise: its own limits, as they were changed since, and the operator's for any run. */
function ownLimits(
  run: Pick<RunRequest, 'maxBudgetUsd' | 'maxBudgetTokens'>,
  { budgetChanges }: Pick<ExecutionRecord, 'budgetChanges'>,
  config: Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens'>,
): Amounts {
  const { maxBudgetUsd, maxBudgetTokens } = withChanges(run, budgetChanges)
  return {
    usd: toMicro(least(maxBudgetUsd, config.maxBudgetUsd)),
    tokens: least(maxBudgetTokens, config.maxBudgetTokens),
  }
}

export interface UsedUp {
  /** `own`: a limit of its own is used up; `day`: what the day had left for it; `none`: it may go on. */
  readonly limit: 'own' | 'day' | 'none'
  readonly unit?: Unit
}

/** Whether an execution may go on by what it has used, `usage`, and by its limits as the record has them. */
export function findUsedUp(
  record: Pick<ExecutionRecord, 'request' | 'budget' | 'budgetChanges'>,
  usage: Usage,
  config: Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens'>,
): UsedUp {
  const spent = spentOf(usage)
  const isUsedUp = (limits: Amounts) => (unit: Unit) => spent[unit] >= (limits[unit] ?? Infinity)
  const own = UNITS.find(isUsedUp(ownLimits(runOf(record), record, config)))
  if (own) return { limit: 'own', unit: own }
  const { usd, tokens } = record.budget ?? {}
  const day = UNITS.find(isUsedUp({ usd: usd === undefined ? undefined : Math.round(usd * MICRO), tokens }))
  return day ? { limit: 'day', unit: day } : { limit: 'none' }
}

/** What it reserves when it goes on. `isRest`: what is left of the day will do, also with a limit of its own. */
export function planRest(
  record: Pick<ExecutionRecord, 'request' | 'budgetChanges'>,
  dailyBudget: Caller['dailyBudget'],
  config: BudgetConfig,
  { isRest }: { readonly isRest: boolean },
): WantedRest {
  const own = ownLimits(runOf(record), record, config)
  const usdCap = dailyBudget?.usd ?? config.dailyBudgetUsd
  const caps: Amounts = {
    usd: usdCap === undefined ? undefined : Math.floor(usdCap * MICRO),
    tokens: dailyBudget?.tokens ?? config.dailyBudgetTokens,
  }
  const toWanted = (unit: Unit): WantedUnit | undefined => {
    const [total, cap] = [own[unit], caps[unit]]
    if (total === undefined && cap === undefined) return undefined
    return { total, cap, isRest: isRest || total === undefined || undefined }
  }
  return { usd: toWanted('usd'), tokens: toWanted('tokens') }
}
