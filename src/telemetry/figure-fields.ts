import type { Usage } from '../protocol/execution.js'
import { BUCKETS, bucketOf, type Histogram } from './histogram.js'

/**
 * Figures of the whole service are whole numbers in one hash, so that every process can add to them and none loses
 * any: `<figure>|<label>|<label>` → count; of a histogram `<figure>|<bucket>` and `<figure>|sum` in microseconds.
 */
export const SHARED_HISTOGRAMS = {
  execution_duration_seconds: BUCKETS.duration,
  queue_wait_seconds: BUCKETS.queueWait,
  event_append_seconds: BUCKETS.append,
} as const
export type SharedHistogram = keyof typeof SHARED_HISTOGRAMS

export const MICRO = 1e6
/** Beyond so many, further models are counted as OTHER. @lua */
export const MODELS_KEPT = 50
export const OTHER = 'other'

export type Fields = Record<string, number>

const toMicro = (value: number): number => Math.round(value * MICRO)

/** What was observed in a process, as it is added to the hash. */
export function histogramFields(name: SharedHistogram, { counts, sum }: Histogram): Fields {
  const fields: Fields = {}
  for (const [bucket, count] of counts.entries()) if (count > 0) fields[`${name}|${bucket}`] = count
  if (sum > 0) fields[`${name}|sum`] = toMicro(sum)
  return fields
}

const observed = (name: SharedHistogram, seconds: number): Fields => ({
  [`${name}|${bucketOf(SHARED_HISTOGRAMS[name], seconds)}`]: 1,
  [`${name}|sum`]: toMicro(seconds),
})

/** What an end adds, as lua/include/count-end.lua takes it: the same step writes the end, so each counts once. */
export interface EndFigures {
  readonly fields: Fields
  /** The script sees to the number of models. */
  readonly model: string | undefined
  readonly ofModel: Fields
}

export interface EndedExecution {
  readonly kind: string
  readonly status: string
  readonly code: string | undefined
  readonly model: string | undefined
  readonly usage: Usage
  readonly startedAt: number | undefined
  readonly finishedAt: number
}

export function toEndFigures(ended: EndedExecution): EndFigures {
  const { kind, status, code = '', usage, startedAt, finishedAt, model } = ended
  const fields: Fields = { [`executions_total|${status}|${code}|${kind}`]: 1 }
  // What a list spends and how long it takes is that of its tasks, which are counted by themselves.
  if (kind === 'task_list') return { fields, model: undefined, ofModel: {} }
  if (startedAt !== undefined)
    Object.assign(fields, observed('execution_duration_seconds', Math.max(0, finishedAt - startedAt) / 1_000))
  const spent: Fields = {
    'tokens_total|input': usage.inputTokens,
    'tokens_total|output': usage.outputTokens,
    'tokens_total|cache_read': usage.cacheReadTokens,
    'tokens_total|cache_creation': usage.cacheCreationTokens,
    cost_usd_total: toMicro(usage.costUsd),
  }
  const ofModel = Object.fromEntries(Object.entries(spent).filter(([, amount]) => amount > 0))
  // Whoever names a model that does not exist spends nothing, and takes none of the places.
  return { fields, model: Object.keys(ofModel).length === 0 ? undefined : (model ?? OTHER), ofModel }
}
