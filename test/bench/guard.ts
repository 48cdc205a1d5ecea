// The figures of a release, kept as what does not depend on the machine, and what later ones lose against them.
import { HERE, medianOf, ratiosOf, type Row } from './rows.js'

/** A row may lose so much, or a commit says why. */
const MAX_LOSS = 0.1

export interface Recorded {
  /** What was measured: parts can be recorded one by one. */
  readonly commit: string
  readonly better: 'more' | 'less'
  /** As it was on the machine of the record: the manual reckons with it, nothing is compared with it. */
  readonly here: number
  /** By contestant; `figure` is that of the row itself, where it is the same on every machine. */
  readonly ratios: Readonly<Record<string, number>>
}

export interface Release {
  readonly commit: string
  /** Which commit `base` was. */
  readonly base?: string | undefined
  readonly rows: Readonly<Record<string, Recorded>>
}

export interface Loss {
  readonly id: string
  readonly against: string
  readonly recorded: number
  readonly now: number
  /** 0.1: a tenth. */
  readonly loss: number
}

const round = (value: number): number => Number(value.toPrecision(4))

function toRecorded(row: Row, commit: string): Recorded | undefined {
  const here = medianOf(row, HERE)
  if (here === undefined) return undefined
  const figure = row.isPortable ? here : undefined
  const ratios = { ...ratiosOf(row), ...(figure !== undefined && { figure }) }
  const rounded = Object.entries(ratios).map(([name, value]) => [name, round(value)] as const)
  return { commit, better: row.better, here: round(here), ratios: Object.fromEntries(rounded) }
}

/** What was not measured this time stays as it was. */
export function record(rows: readonly Row[], commit: string, base: string | undefined, old?: Release): Release {
  const fresh = rows.flatMap((row) => {
    const recorded = toRecorded(row, commit)
    const before = old?.rows[row.id]
    return recorded ? [[row.id, { ...recorded, ratios: { ...before?.ratios, ...recorded.ratios } }] as const] : []
  })
  const all = Object.entries({ ...old?.rows, ...Object.fromEntries(fresh) })
  return { commit, base: base ?? old?.base, rows: Object.fromEntries(all.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
}

/** Rows that lost more than they may; a commit other than the recorded one as `base` is no yardstick. */
export function findLosses(rows: readonly Row[], recorded: Release, base: string | undefined): Loss[] {
  return rows.flatMap((row) => {
    const then = recorded.rows[row.id]
    const now = toRecorded(row, '')
    if (!then || !now) return []
    return Object.entries(then.ratios).flatMap(([against, value]) => {
      const current = now.ratios[against]
      if (current === undefined || (against === 'base' && base !== recorded.base)) return []
      const loss = then.better === 'more' ? 1 - current / value : current / value - 1
      return loss > MAX_LOSS ? [{ id: row.id, against, recorded: value, now: current, loss }] : []
    })
  })
}

export const printLosses = (losses: readonly Loss[]): string =>
  losses
    .map(
      ({ id, against, recorded, now, loss }) =>
        `LOST ${(loss * 100).toFixed(0)} % ${id}, ${against === 'figure' ? 'the figure' : `× ${against}`}: ` +
        `${recorded} at the record, ${round(now)} now`,
    )
    .join('\n')
