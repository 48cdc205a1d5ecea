import type { Checkout } from './checkout.js'
import type { Programs } from './programs.js'
import type { Missing, Row } from './rows.js'

/** What every part has at hand. */
export interface Bench {
  readonly folder: string
  readonly programs: Programs
  /** Where its redis-server is. */
  readonly redisPath: readonly string[]
  /** Ours, named `here`, and the one that it is compared with, named `base`. */
  readonly checkouts: readonly Checkout[]
  readonly rounds: number
  /** A peer, or a figure, that this machine does not give. */
  miss(missing: Missing): void
  /** For whoever reads the table. */
  note(text: string): void
}

export type Part = (bench: Bench) => Promise<Row[]>

/** One that takes part in a row: what it does once, and the figures of that. */
export interface Contestant<Figures> {
  readonly name: string
  measure(round: number): Promise<Figures>
}

/** All of them in turn, as many rounds as there are; every round begins with another one. */
export async function inTurn<Figures>(
  rounds: number,
  contestants: ReadonlyArray<Contestant<Figures>>,
): Promise<Record<string, Figures[]>> {
  const results: Record<string, Figures[]> = Object.fromEntries(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    const first = round % contestants.length
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)])
      results[contestant.name]?.push(await contestant.measure(round))
  }
  return results
}

/** One figure of each round. */
export const pick = <Figures>(
  results: Record<string, Figures[]>,
  figure: (figures: Figures) => number | undefined,
): Record<string, number[]> =>
  Object.fromEntries(
    Object.entries(results).flatMap(([name, all]) => {
      const values = all.flatMap((figures) => figure(figures) ?? [])
      return values.length > 0 ? [[name, values]] : []
    }),
  )
