import { DEFAULT_TIMEOUT_SECONDS } from '../protocol/execute-request.js'
import { TIMEOUT_LIMIT_SECONDS } from '../protocol/limits.js'
import type { TimeoutEstimate } from '../protocol/estimate.js'
import { LEVELS, type KnownLevel } from './fingerprint.js'

/** Milliseconds of a run; negative: it was ended after so long and would have gone on. */
export type Sample = number

/** Below this a level is passed over for the next wider one, and its estimate never shortens the default. */
const ENOUGH = 3
const SAFETY_FACTOR = 2
const SAFETY_SECONDS = 30
const SHORTEST_SECONDS = 60
/** Runs that were cut off lengthen the timeout up to here, and no further: one that hangs would double it each time. */
const LENGTHENED_SECONDS = 3_600
/** Only these tell of the same work; a wider one says what is usual, which is no reason to cut something off. */
const MAY_SHORTEN: ReadonlySet<KnownLevel> = new Set(['prompt', 'opening'])

/**
 * The time within which a share of runs has ended, by Kaplan and Meier's estimator: a run that was cut off counts as
 * one that
 * takes longer than that, and not as one that took so long. undefined: beyond what was seen.
 */
export function quantile(samples: readonly Sample[], share: number): number | undefined {
  // At the same moment the ended ones come first.
  const sorted = [...samples].sort((a, b) => Math.abs(a) - Math.abs(b) || b - a)
  let going = 1
  for (const [index, sample] of sorted.entries()) {
    if (sample < 0) continue
    going *= 1 - 1 / (sorted.length - index)
    if (going <= 1 - share + 1e-9) return sample
  }
  return undefined
}

const toSeconds = (milliseconds: number | undefined): number | null =>
  milliseconds === undefined ? null : Math.round(milliseconds) / 1_000

/** The closest level that has enough to say, else the closest that has anything. */
function chooseLevel(known: ReadonlyArray<readonly Sample[]>): number {
  const enough = known.findIndex((samples) => samples.length >= ENOUGH)
  return enough === -1 ? known.findIndex((samples) => samples.length > 0) : enough
}

/** `known`: the samples of each level, in the order of LEVELS. */
export function estimateTimeout(known: ReadonlyArray<readonly Sample[]>): TimeoutEstimate {
  const index = chooseLevel(known)
  const [samples, level] = [known[index], LEVELS[index]]
  if (!samples || !level)
    return {
      timeoutSeconds: DEFAULT_TIMEOUT_SECONDS,
      samples: 0,
      timedOut: 0,
      level: 'none',
      p50Seconds: null,
      p90Seconds: null,
    }
  const ended = samples.filter((sample) => sample >= 0)
  const p90 = quantile(samples, 0.9)
  const mayShorten = MAY_SHORTEN.has(level) && samples.length >= ENOUGH && p90 !== undefined
  // What little is known at closer levels says how long it took then, whatever is usual for others.
  const needed = known.slice(0, index + 1).flatMap((closer) => [enoughFor(closer), lengthen(closer)])
  const timeoutSeconds = Math.max(...needed, mayShorten ? SHORTEST_SECONDS : DEFAULT_TIMEOUT_SECONDS)
  return {
    timeoutSeconds: Math.min(TIMEOUT_LIMIT_SECONDS, Math.ceil(timeoutSeconds)),
    samples: ended.length,
    timedOut: samples.length - ended.length,
    level,
    p50Seconds: toSeconds(quantile(samples, 0.5)),
    p90Seconds: toSeconds(p90),
  }
}

/** Seconds in which nearly all of them would have ended. Of few runs the slowest says as much as the ninth of ten. */
function enoughFor(samples: readonly Sample[]): number {
  const slowest = Math.max(0, ...samples)
  return Math.max(SAFETY_FACTOR * (quantile(samples, 0.9) ?? 0), 1.25 * slowest) / 1_000 + SAFETY_SECONDS
}

/** Twice what was not enough, where it is not known what would be. */
function lengthen(samples: readonly Sample[]): number {
  const longest = Math.max(0, ...samples.map((sample) => -sample)) / 1_000
  if (longest === 0 || (samples.length >= ENOUGH && quantile(samples, 0.9) !== undefined)) return 0
  return Math.min(SAFETY_FACTOR * longest, Math.max(LENGTHENED_SECONDS, longest))
}
