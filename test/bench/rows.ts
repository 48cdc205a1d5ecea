// What a part of the bench hands back, and how it is shown.
import { median } from './measure.js'

/** `here` over another one, by their medians; or, without `against`, the figure of `here` itself. */
export interface Goal {
  /** A contestant of the row. */
  readonly against?: string
  /** By how much it is more than the other's, instead of how many times. */
  readonly isDifference?: boolean
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Row {
  /** `part.figure`, by which it is recorded. */
  readonly id: string
  readonly title: string
  readonly unit: string
  /** What a better one has. */
  readonly better: 'more' | 'less'
  /** By contestant, `here` among them; each figure of one round. */
  readonly samples: Readonly<Record<string, readonly number[]>>
  readonly goals?: readonly Goal[]
  /** The figure itself is the same on every machine, as bytes are. */
  readonly isPortable?: boolean
}

/** What could not be measured here, and why. */
export interface Missing {
  readonly what: string
  readonly why: string
}

export interface Verdict extends Goal {
  readonly value: number
  readonly isMet: boolean
}

export const HERE = 'here'
export const BASE = 'base'

export const medianOf = ({ samples }: Row, name: string): number | undefined => {
  const values = samples[name] ?? []
  return values.length === 0 ? undefined : median(values)
}

/** `here` over each other contestant that was measured. */
export function ratiosOf(row: Row): Record<string, number> {
  const here = medianOf(row, HERE)
  if (here === undefined) return {}
  return Object.fromEntries(
    Object.keys(row.samples).flatMap((name) => {
      const other = name === HERE ? undefined : medianOf(row, name)
      return other === undefined || other === 0 ? [] : [[name, here / other]]
    }),
  )
}

/** Of the goals that can be judged: a contestant that was not measured has none. */
export function judge(row: Row): Verdict[] {
  const here = medianOf(row, HERE)
  if (here === undefined) return []
  return (row.goals ?? []).flatMap((goal) => {
    const other = goal.against === undefined ? undefined : medianOf(row, goal.against)
    if (goal.against !== undefined && other === undefined) return []
    const value = other === undefined ? here : goal.isDifference ? here - other : here / other
    const isMet = value >= (goal.atLeast ?? Number.NEGATIVE_INFINITY) && value <= (goal.atMost ?? Infinity)
    return [{ ...goal, value, isMet }]
  })
}

const digits = (value: number): string => {
  const size = Math.abs(value)
  return value.toFixed(size >= 1_000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3)
}

function showGoal({ against, isDifference, atLeast, atMost, value, isMet }: Verdict, base: string): string {
  const limit = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
  const other = against === BASE ? base : against
  const what = other === undefined ? '' : isDifference ? ` above ${other}` : ` × ${other}`
  return `    ${isMet ? 'met   ' : 'MISSED'} ${limit}${what}: ${digits(value)}`
}

/** A line a row with its medians, below it how it stands to the others and to its goals. */
export function printRows(rows: readonly Row[], base = BASE): string {
  return rows
    .map((row) => {
      const others = Object.entries(ratiosOf(row)).map(
        ([name, ratio]) =>
          `${name === BASE ? base : name} ${digits(medianOf(row, name) ?? Number.NaN)} (${digits(ratio)} ×)`,
      )
      return [
        `${row.title.padEnd(72)}${digits(medianOf(row, HERE) ?? Number.NaN).padStart(12)} ${row.unit}`,
        ...(others.length > 0 ? [`    beside ${others.join(', ')}`] : []),
        ...judge(row).map((verdict) => showGoal(verdict, base)),
      ].join('\n')
    })
    .join('\n')
}
