import type { RunRequest } from '../../claude/command/run-request.js'
import { MICRO } from '../../history/units.js'
import type { Config } from '../../platform/config.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { BudgetRefusal, NewBudget } from '../../protocol/usage.js'
import type { ExecutionRecord } from './execution-record.js'
import type { Caller } from '../../protocol/caller.js'

/** In millionths of a dollar, or tokens: what a run may spend, and its owner on a day. */
interface Want {
  readonly run?: number
  readonly cap?: number
  /** Nobody has said how much one run may spend: it takes what is left of the day. */
  readonly isRest?: boolean
}

/** What a submission reserves; without any limit nothing. */
export interface WantedBudget {
  readonly usd?: Want
  readonly tokens?: Want
}

type BudgetConfig = Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens' | 'dailyBudgetUsd' | 'dailyBudgetTokens'>

/** Of limits that are not there nothing follows. */
function toWant(limits: ReadonlyArray<number | undefined>, cap: number | undefined, scale: number): Want | undefined {
  const known = [...limits, cap].filter((limit) => limit !== undefined)
  if (known.length === 0) return undefined
  return {
    run: Math.min(...known.map((amount) => Math.ceil(amount * scale))),
    cap: cap === undefined ? undefined : Math.floor(cap * scale),
    isRest: limits.every((limit) => limit === undefined) || undefined,
  }
}

type Limits = Pick<RunRequest, 'maxBudgetUsd' | 'maxBudgetTokens'>

/** The limits of a request as they were changed since; one that a change did not name stays. */
export const withChanges = ({ maxBudgetUsd, maxBudgetTokens }: Limits, changes: readonly NewBudget[] = []): Limits =>
  changes.reduce<Limits>(
    (limits, change) => ({
      maxBudgetUsd: change.maxBudgetUsd ?? limits.maxBudgetUsd,
      maxBudgetTokens: change.maxBudgetTokens ?? limits.maxBudgetTokens,
    }),
    { maxBudgetUsd, maxBudgetTokens },
  )

/** A request may ask for less than the operator's limit for a run, never for more. */
export function planBudget(
  run: Limits,
  { dailyBudget }: Pick<Caller, 'dailyBudget'>,
  config: BudgetConfig,
): WantedBudget {
  const usd = toWant([run.maxBudgetUsd, config.maxBudgetUsd], dailyBudget?.usd ?? config.dailyBudgetUsd, MICRO)
  const tokens = toWant(
    [run.maxBudgetTokens, config.maxBudgetTokens],
    dailyBudget?.tokens ?? config.dailyBudgetTokens,
    1,
  )
  return { usd, tokens }
}

const smaller = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

/**
 * The run with what it may spend in all its attempts; what they have spent so far is subtracted where the next one is
 * planned.
 */
export function withBudget(
  run: RunRequest,
  { budget, usage, budgetChanges }: Pick<ExecutionRecord, 'budget' | 'usage' | 'budgetChanges'>,
  caps: Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens'>,
): RunRequest {
  const asked = withChanges(run, budgetChanges)
  const maxBudgetUsd = smaller(smaller(asked.maxBudgetUsd, budget?.usd), caps.maxBudgetUsd)
  const tokens = smaller(smaller(asked.maxBudgetTokens, budget?.tokens), caps.maxBudgetTokens)
  const maxBudgetTokens = tokens === undefined ? undefined : Math.max(0, tokens - countTokens(usage))
  return { ...run, maxBudgetUsd, maxBudgetTokens }
}

/**
 * Those that count: a conversation is read again from the cache with every turn, which costs a tenth and would drown
 * the rest.
 */
export const countTokens = ({
  inputTokens,
  outputTokens,
  cacheCreationTokens,
}: {
  inputTokens: number
  outputTokens: number
  cacheCreationTokens: number
}): number => inputTokens + outputTokens + cacheCreationTokens

/** What the script answers after `over`. */
export function toRefusal([unit, ...numbers]: ReadonlyArray<string | number>): BudgetRefusal {
  const scale = unit === 'usd' ? MICRO : 1
  const [limit = 0, spent = 0, reserved = 0, wanted = 0] = numbers.map((number) => Number(number) / scale)
  return {
    unit: unit === 'usd' ? 'usd' : 'tokens',
    limit,
    spent,
    reserved,
    wanted,
    resetsAt: new Date(Number(numbers[4])).toISOString(),
    basis: 'cli_estimate',
  }
}

export function toBudgetError(refusal: BudgetRefusal, owner: string): ExecutorError {
  const { unit, limit, spent, reserved, wanted, resetsAt } = refusal
  const show = (amount: number): string => (unit === 'usd' ? `$${amount}` : `${amount} tokens`)
  const field = unit === 'usd' ? 'maxBudgetUsd' : 'maxBudgetTokens'
  return new ExecutorError('BUDGET_EXCEEDED', {
    detail:
      `The daily budget of ${owner} is ${show(limit)}: ${show(spent)} spent, ${show(reserved)} reserved by ` +
      `executions that have not ended, and this one may spend ${show(wanted)}. It resets at ${resetsAt}; a ` +
      `smaller ${field} may fit ` +
      `before.${unit === 'usd' ? ' Dollars are the CLI’s estimate, which means nothing under a subscription.' : ''}`,
    budget: refusal,
    retryAfterSeconds: Math.max(1, Math.ceil((Date.parse(resetsAt) - Date.now()) / 1_000)),
  })
}
