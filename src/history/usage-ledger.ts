import type { Redis } from 'ioredis'
import { keyRoot, readTime } from '../platform/redis.js'
import type { BudgetState, UsageSums } from '../protocol/usage.js'
import { DAY_MS, MICRO } from './units.js'
import { kindOf } from './run-history.js'

export interface UsageEntry {
  readonly day: string
  readonly token: string
  readonly model: string
  /** Absent: it is not known who paid, or it was not asked for. */
  readonly credential?: string
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
  /** The same by the credential that paid; the entries without one are what is left of the whole. */
  readByCredential(first: number, last: number, simulated: boolean): Promise<UsageEntry[]>
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

/** `names`: what stands in a field before its measure. */
function toEntries(
  day: number,
  hash: Record<string, string>,
  names: ReadonlyArray<'token' | 'model' | 'credential'>,
): UsageEntry[] {
  const entries = new Map<string, Omit<UsageEntry, 'day'>>()
  for (const [field, text] of Object.entries(hash)) {
    // Safe: `settle` wrote it.
    const values = JSON.parse(field) as string[]
    const measure = values[names.length] ?? ''
    const of = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
    const name = JSON.stringify(of)
    const entry = entries.get(name) ?? { token: '', model: '', ...of, sums: NO_SUMS }
    const value = measure === 'costMicroUsd' ? { costUsd: Number(text) / MICRO } : { [measure]: Number(text) }
    entries.set(name, { ...entry, sums: { ...entry.sums, ...value } })
  }
  return [...entries.values()].map((entry) => ({ day: toDate(day), ...entry }))
}

const PLAIN = ['token', 'model'] as const
const BY_CREDENTIAL = [...PLAIN, 'credential'] as const

/** What of the whole nobody is named for: older versions, and executions that ended before they began. */
function toRest(whole: readonly UsageEntry[], named: readonly UsageEntry[]): UsageEntry[] {
  const nameOf = ({ day, token, model }: UsageEntry): string => JSON.stringify([day, token, model])
  const paid = new Map<string, UsageSums>()
  for (const entry of named) paid.set(nameOf(entry), addSums(paid.get(nameOf(entry)) ?? NO_SUMS, entry.sums))
  return whole.flatMap((entry) => {
    const less = paid.get(nameOf(entry)) ?? NO_SUMS
    const left = MEASURES.map((measure): [string, number] => [
      measure,
      Math.max(0, entry.sums[measure] - less[measure]),
    ])
    const sums = addSums(NO_SUMS, { ...NO_SUMS, ...Object.fromEntries(left) })
    return MEASURES.every((measure) => sums[measure] === 0) ? [] : [{ ...entry, sums }]
  })
}

export function createUsageLedger(redis: Redis, prefix: string): UsageLedger {
  const root = keyRoot(prefix)
  async function readDays(
    hash: 'usage' | 'usage-by-credential',
    { first, last, simulated }: { first: number; last: number; simulated: boolean },
  ): Promise<UsageEntry[]> {
    const days = Array.from({ length: last - first + 1 }, (_, index) => first + index)
    const hashes = await Promise.all(days.map((day) => redis.hgetall(`${root}:${hash}:${kindOf(simulated)}:${day}`)))
    const names = hash === 'usage' ? PLAIN : BY_CREDENTIAL
    return days.flatMap((day, index) => toEntries(day, hashes[index] ?? {}, names))
  }
  return {
    async today() {
      return Math.floor((await readTime(redis)) / DAY_MS)
    },
    read(first, last, simulated) {
      return readDays('usage', { first, last, simulated })
    },
    async readByCredential(first, last, simulated) {
      // In this order: what ends in between is in the rest at most, and counts once.
      const named = await readDays('usage-by-credential', { first, last, simulated })
      return [...named, ...toRest(await readDays('usage', { first, last, simulated }), named)]
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
