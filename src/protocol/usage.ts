import * as z from 'zod'
import { Timestamp } from './ids.js'
import { BUDGET_LIMIT_TOKENS, BUDGET_LIMIT_USD } from './limits.js'

const UsageBasis = z.literal('cli_estimate').meta({
  id: 'UsageBasis',
  description:
    'Dollars are the CLI’s estimate, from list prices. They are not meaningful under a subscription, ' +
    'where nothing is billed by them.',
})

/** Of a run that goes on. */
export const CostSoFar = z.number().meta({
  description:
    'What this attempt has cost so far, in US dollars: the CLI’s own estimate up to its last result, and for the tokens ' +
    'since then a guess from the usual list price of the model’s family, which the CLI’s sum replaces.',
})

/** Of one unit: dollars, or tokens (input, output and cache creation; cache reads do not count). */
export const BudgetState = z
  .object({
    limit: z.number().nullable().meta({ description: 'The limit of the day; null: no limit.' }),
    spent: z.number().meta({
      description: 'Spent by executions accepted today that have ended, and by parked ones until they were parked.',
    }),
    reserved: z.number().meta({
      description:
        'Reserved for executions that have not ended: the most that they may spend. One that waits for a higher budget ' +
        'reserves nothing.',
    }),
  })
  .meta({ id: 'BudgetState' })
export type BudgetState = z.infer<typeof BudgetState>

/** Why a submission was refused. */
export const BudgetRefusal = z
  .object({
    unit: z.enum(['usd', 'tokens']),
    limit: z.number(),
    spent: z.number(),
    reserved: z.number(),
    wanted: z.number(),
    resetsAt: Timestamp,
    basis: UsageBasis,
  })
  .meta({ id: 'BudgetRefusal', description: 'The daily budget of a token, with BUDGET_EXCEEDED.' })
export type BudgetRefusal = z.infer<typeof BudgetRefusal>

/** What one execution may spend. */
export const RunBudget = z
  .object({
    usd: z
      .number()
      .optional()
      .meta({
        description:
          "Passed to the CLI, which checks after each reply, so the last reply may exceed it. By the CLI's " +
          'estimate.',
      }),
    tokens: z
      .number()
      .optional()
      .meta({ description: 'The worker stops the run once it has used more: input, output and cache creation.' }),
  })
  .meta({
    id: 'RunBudget',
    description:
      'What it may spend: the smallest of the requested limit, the operator’s limits, and what was left of ' +
      'the daily budget.',
  })
export type RunBudget = z.infer<typeof RunBudget>

/** New limits of an execution. */
export const NewBudget = z.object({
  maxBudgetUsd: z.number().positive().max(BUDGET_LIMIT_USD).optional(),
  maxBudgetTokens: z.int().positive().max(BUDGET_LIMIT_TOKENS).optional(),
})
export type NewBudget = z.infer<typeof NewBudget>

export const NAMES_A_LIMIT = [
  ({ maxBudgetUsd, maxBudgetTokens }: NewBudget): boolean =>
    maxBudgetUsd !== undefined || maxBudgetTokens !== undefined,
  'expected maxBudgetUsd, maxBudgetTokens or both',
] as const

export const BudgetRequest = z
  .strictObject(NewBudget.shape)
  .refine(...NAMES_A_LIMIT)
  .meta({
    id: 'BudgetRequest',
    description: 'New limits for all attempts of an execution together; a limit that is not named stays as it is.',
    anyOf: [{ required: ['maxBudgetUsd'] }, { required: ['maxBudgetTokens'] }],
    examples: [{ maxBudgetUsd: 5 }],
  })
export type BudgetRequest = z.infer<typeof BudgetRequest>

/** Who has changed the limits of an execution, and when. */
export const BudgetChange = NewBudget.extend({ at: Timestamp, by: z.string() })
export type BudgetChange = z.infer<typeof BudgetChange>

export const USAGE_GROUPS = ['day', 'model', 'token', 'credential'] as const
export type UsageGroup = (typeof USAGE_GROUPS)[number]
/** Days of one answer. */
export const USAGE_RANGE_DAYS = 366
export const USAGE_DEFAULT_DAYS = 30

export const UsageSums = z
  .object({
    executions: z.number().int(),
    succeeded: z.number().int(),
    inputTokens: z.number().int(),
    outputTokens: z.number().int(),
    cacheReadTokens: z.number().int(),
    cacheCreationTokens: z.number().int(),
    costUsd: z.number(),
    turns: z.number().int(),
    durationMs: z.number().int(),
  })
  .meta({ id: 'UsageSums' })
export type UsageSums = z.infer<typeof UsageSums>

export const UsageRow = UsageSums.extend({
  day: z.iso.date().optional(),
  model: z.string().optional(),
  token: z.string().optional(),
  credential: z
    .string()
    .optional()
    .meta({ description: 'Absent for usage that was recorded without one, such as by an older version.' }),
}).meta({ id: 'UsageRow' })
export type UsageRow = z.infer<typeof UsageRow>

export const UsageReport = z
  .object({
    from: z.iso.date(),
    to: z.iso.date(),
    groupBy: z.array(z.enum(USAGE_GROUPS)),
    token: z.string().meta({ description: 'The id of the token; `*`: all tokens.' }),
    rows: z.array(UsageRow),
    total: UsageSums,
    budget: z
      .object({ resetsAt: Timestamp, usd: BudgetState, tokens: BudgetState })
      .optional()
      .meta({ description: 'For today, for the calling token.' }),
    basis: UsageBasis,
    note: z.string(),
    simulated: z.boolean().meta({ description: 'true: a scripted model answered; nothing was spent.' }),
  })
  .meta({
    id: 'UsageReport',
    description: 'Sums over the executions that were accepted on these UTC days and have ended.',
  })
export type UsageReport = z.infer<typeof UsageReport>
