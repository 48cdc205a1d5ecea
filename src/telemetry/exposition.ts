import type { Fields, SharedHistogram } from './figure-fields.js'
import { MICRO, SHARED_HISTOGRAMS } from './figure-fields.js'
import type { Figures } from './figures.js'

export interface Sample {
  readonly value: number
  readonly labels?: Readonly<Record<string, string | number>>
  /** Where it is not the family's: of a histogram. */
  readonly metricName?: string
}

/** As prom-client gives and takes it. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: readonly Sample[]
}

const PREFIX = 'cc_executor_'

interface Shared {
  readonly help: string
  /** In their order in a field; the last one may hold what parts them. */
  readonly labels: readonly string[]
  readonly unit?: number
}

/** Counters of the service: `<figure>|<label>…` in the hash. */
const COUNTERS: Readonly<Record<string, Shared>> = {
  executions_total: {
    help: 'Executions that have ended; a task list and each of its tasks count by themselves.',
    labels: ['status', 'code', 'kind'],
  },
  tokens_total: { help: 'Tokens of executions that have ended, as the CLI told them.', labels: ['direction', 'model'] },
  cost_usd_total: {
    help: "What executions that have ended cost in US dollars, by the CLI's estimate.",
    labels: ['model'],
    unit: MICRO,
  },
  events_total: { help: 'Events stored.', labels: [] },
  webhook_deliveries_total: {
    help: 'Deliveries of webhooks that arrived, that are given up (dead), and attempts that failed.',
    labels: ['result'],
  },
}
const HISTOGRAMS: Readonly<Record<SharedHistogram, string>> = {
  execution_duration_seconds: 'From the first start of an execution to its end.',
  queue_wait_seconds: 'From the acceptance of an execution to its first start.',
  event_append_seconds: 'Storing a batch of events of a run, in the worker.',
}

export const gauge = (name: string, help: string, values: readonly Sample[]): Family => ({
  name: PREFIX + name,
  help,
  type: 'gauge',
  values,
})

function toHistogram(
  name: string,
  help: string,
  bounds: readonly number[],
  rows: ReadonlyArray<{
    readonly labels?: Sample['labels']
    readonly counts: readonly number[]
    readonly sum: number
  }>,
): Family {
  const full = PREFIX + name
  const values = rows.flatMap(({ labels = {}, counts, sum }): Sample[] => {
    let total = 0
    const buckets = counts.map((count, index) => {
      total += count
      return { metricName: `${full}_bucket`, labels: { le: bounds[index] ?? '+Inf', ...labels }, value: total }
    })
    return [
      ...buckets,
      { metricName: `${full}_sum`, labels, value: sum },
      { metricName: `${full}_count`, labels, value: total },
    ]
  })
  return { name: full, help, type: 'histogram', values }
}

function toLabels(names: readonly string[], values: readonly string[]): Record<string, string> {
  const rest = values.slice(names.length - 1).join('|')
  return Object.fromEntries(names.map((name, at) => [name, at === names.length - 1 ? rest : (values[at] ?? '')]))
}

/** The figures of the service from their hash. A figure that never was counts as zero where it has no labels. */
export function toSharedFamilies(fields: Fields): Family[] {
  const byFigure = new Map<string, Array<{ values: string[]; amount: number }>>()
  for (const [field, amount] of Object.entries(fields)) {
    const [figure = '', ...values] = field.split('|')
    byFigure.set(figure, [...(byFigure.get(figure) ?? []), { values, amount }])
  }
  const counters = Object.entries(COUNTERS).map(([figure, { help, labels, unit = 1 }]): Family => {
    const found = byFigure.get(figure) ?? (labels.length === 0 ? [{ values: [], amount: 0 }] : [])
    return {
      name: PREFIX + figure,
      help,
      type: 'counter',
      values: found.map(({ values, amount }) => ({ labels: toLabels(labels, values), value: amount / unit })),
    }
  })
  // Safe: the keys of SHARED_HISTOGRAMS.
  const histograms = (Object.keys(SHARED_HISTOGRAMS) as SharedHistogram[]).map((name) => {
    const bounds = SHARED_HISTOGRAMS[name]
    const counts = [...bounds, Infinity].map((_bound, bucket) => fields[`${name}|${bucket}`] ?? 0)
    return toHistogram(name, HISTOGRAMS[name], bounds, [{ counts, sum: (fields[`${name}|sum`] ?? 0) / MICRO }])
  })
  return [...counters, ...histograms]
}

/** What this process alone knows. */
export function toOwnFamilies({ relay, requests, subscribers }: Figures): Family[] {
  const answered = [...requests]
  return [
    toHistogram(
      'event_relay_seconds',
      'From the time of an event to its delivery to the subscribers of this process; samples.',
      relay.bounds,
      [relay],
    ),
    gauge(
      'subscribers',
      'Subscriptions to events in this process.',
      Object.entries(subscribers).map(([transport, value]) => ({ labels: { transport }, value })),
    ),
    toHistogram(
      'http_request_duration_seconds',
      'Answers of this process by the path as it is documented; streams are left out.',
      answered[0]?.seconds.bounds ?? [],
      answered.map(({ route, method, status, seconds: { counts, sum } }) => ({
        labels: { route, method, status },
        counts,
        sum,
      })),
    ),
  ]
}
