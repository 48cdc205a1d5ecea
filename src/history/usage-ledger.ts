import type { Redis } from 'ioredis'
import { keyRoot } from '../platform/redis.js'
import type { BudgetState, UsageSums } from '../protocol/usage.js'
import { DAY_MS, MICRO } from './units.js'
import { kindOf } from './run-history.js'

export interface UsageEntry {
  readonly day: string
  readonly token: string
  readonly model: string
  readonly sums: UsageSums
}

export interface DayBook {
  readonly resetsAt: Date
  readonly usd: Pick<BudgetState, 'spent' | 'reserved'>
  readonly tokens: Pick<BudgetState, 'spent' | 'reserved'>
}

/** What was spent, as the scripts have summed it up (lua/include/settle). */
export interface UsageLedger {
  /** Today, by Redis' clock, as days since 1970. */
  today(): Promise<number>
  /** The sums of whole days, first and last included. */
  read(first: number, last: number, simulated: boolean): Promise<UsageEntry[]>
  book(day: number, owner: string, simulated: boolean): Promise<DayBook>
}

export const toDayNumber = (date: string): number => Date.parse(`${date}T00:00:00.000Z`) / DAY_MS
export const toDate = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10)

export const NO_SUMS: UsageSums = {
  executions: 0,
  succeeded: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  costUsd: 0,
  turns: 0,
  durationMs: 0,
}
// Safe: a UsageSums has no other keys than these.
const MEASURES = Object.keys(NO_SUMS) as Array<keyof UsageSums>

export function addSums(one: UsageSums, other: UsageSums): UsageSums {
  // Dollars are added as millionths, so that a total does not end in …0000004.
  const costUsd = (Math.round(one.costUsd * MICRO) + Math.round(other.costUsd * MICRO)) / MICRO
  // Measure by measure: what is given may bear more than sums, the day of a row for instance.
  const added = MEASURES.map((measure) => [measure, one[measure] + other[measure]] as const)
  return { ...NO_SUMS, ...Object.fromEntries(added), costUsd }
}

function toEntries(day: number, hash: Record<string, string>): UsageEntry[] {
  const entries = new Map<string, { token: string; model: string; sums: UsageSums }>()
  for (const [field, text] of Object.entries(hash)) {
    // Safe: `settle` wrote it.
    const [token, model, measure] = JSON.parse(field) as [string, string, string]
    const name = JSON.stringify([token, model])
    const entry = entries.get(name) ?? { token, model, sums: NO_SUMS }
    const value = measure === 'costMicroUsd' ? { costUsd: Number(text) / MICRO } : { [measure]: Number(text) }
    entries.set(name, { ...entry, sums: { ...entry.sums, ...value } })
  }
  return [...entries.values()].map((entry) => ({ day: toDate(day), ...entry }))
}

export function createUsageLedger(redis: Redis, prefix: string): UsageLedger {
  const root = keyRoot(prefix)
  return {
    async today() {
      const [seconds] = await redis.time()
      return Math.floor((Number(seconds) * 1_000) / DAY_MS)
    },
    async read(first, last, simulated) {
      const days = Array.from({ length: last - first + 1 }, (_, index) => first + index)
      const hashes = await Promise.all(days.map((day) => redis.hgetall(`${root}:usage:${kindOf(simulated)}:${day}`)))
      return days.flatMap((day, index) => toEntries(day, hashes[index] ?? {}))
    },
    async book(day, owner, simulated) {
      const hash = await redis.hgetall(`${root}:budget:${kindOf(simulated)}:${day}:${owner}`)
      const of = (unit: string, scale: number) => ({
        spent: Number(hash[`${unit}:spent`] ?? 0) / scale,
        reserved: Number(hash[`${unit}:reserved`] ?? 0) / scale,
      })
      return { resetsAt: new Date((day + 1) * DAY_MS), usd: of('usd', MICRO), tokens: of('tokens', 1) }
    },
  }
}
