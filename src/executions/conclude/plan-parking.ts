import type { RunRequest } from '../../claude/command/run-request.js'
import { DAY_MS } from '../../history/units.js'
import type { Config } from '../../platform/config.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { findUsedUp } from '../records/plan-rest.js'
import type { RetryPlan } from './plan-retry.js'

type Limits = Pick<RunRequest, 'onBudgetExceeded' | 'budgetTimeoutSeconds'>

/** When the next UTC day begins. */
export const nextDay = (now: Date): Date => new Date((Math.floor(now.getTime() / DAY_MS) + 1) * DAY_MS)

/**
 * What follows an attempt that has met a limit of money or tokens. `record`: as it is now. `changes`: how many changes
 * of its limits the attempt began with.
 *
 * | its limits | `pause` | `fail` |
 * | have been raised meanwhile, and leave something | another attempt, at once | the same |
 * | are used up | parked | the end |
 * | its own are not, but the day's is | parked, until the next day at the latest | the end |
 */
export function planAtBudget(
  { code, message = '' }: Outcome,
  record: ExecutionRecord,
  { usage, changes }: { readonly usage: Usage; readonly changes: number },
  { onBudgetExceeded, budgetTimeoutSeconds }: Limits,
  config: Pick<Config, 'maxBudgetUsd' | 'maxBudgetTokens'>,
  now: Date,
): RetryPlan | undefined {
  if (code !== 'BUDGET_EXCEEDED') return undefined
  const { length: budgetRevision } = record.budgetChanges ?? []
  const { limit } = findUsedUp(record, usage, config)
  const common = { reason: code, isSpared: true, keepsClock: true } as const
  if (limit === 'none' && budgetRevision > changes)
    return { ...common, message: 'Its budget was changed while it ran; it continues.' }
  if (onBudgetExceeded !== 'pause') return undefined
  const until = new Date(now.getTime() + budgetTimeoutSeconds * 1_000)
  const parked = { reason: 'budget', until, budgetRevision } as const
  if (limit !== 'day')
    return { ...common, parked, message: `${message} It continues when its budget is raised.`.trim() }
  const notBefore = nextDay(now)
  return {
    ...common,
    parked,
    notBefore,
    message: `The daily budget of its token is used up. It continues when the next day begins: ${notBefore.toISOString()}.`,
  }
}

/** A run that was ended with a call which its session keeps: parked until that is decided. */
export const planAtApproval = (
  { approvalId, until }: { readonly approvalId: string; readonly until: Date },
  message: string,
): RetryPlan => ({
  reason: 'TOOL_DEFERRED',
  message: `${message} It continues when somebody decides.`,
  isSpared: true,
  keepsClock: true,
  parked: { reason: 'approval', until, approvalId },
})

/** The session has lost the call, and with it what was asked: the next attempt is told of it and makes it again. */
export const planLostCall = (message: string): RetryPlan => ({
  reason: 'TOOL_DEFERRED',
  message: `${message} Its session has not kept it; the call is to be made again.`,
  isSpared: true,
  keepsClock: true,
})
