import { lastMoments, type Rule } from './calendar/moments.js'
import { MISSED_LIMIT } from '../protocol/limits.js'
import type { Missed } from '../protocol/schedules.js'

/** The last moment that is due is on time for so long: an API process may just be starting again. */
const ON_TIME_MS = 60_000

export interface DuePlan {
  /** Missed, in order; where there are very many, the last of them. */
  readonly missed: readonly number[]
  /** The next one that is to start something. */
  readonly run: number | undefined
}

/**
 * What is to become of the moments between the last one that was settled and now. undefined: none is due. Settled one
 * after the other, so it is planned anew after each that has run.
 */
export function planDue(rule: Rule, policy: Missed, after: number, now: number): DuePlan | undefined {
  const due = lastMoments(rule, after, now, MISSED_LIMIT + 1)
  const last = due.at(-1)
  if (last === undefined) return undefined
  if (policy === 'all') {
    const kept = due.slice(-MISSED_LIMIT)
    return { missed: due.slice(0, due.length - kept.length), run: kept[0] }
  }
  const isLate = now - last > ON_TIME_MS
  return policy === 'skip' && isLate ? { missed: due, run: undefined } : { missed: due.slice(0, -1), run: last }
}
