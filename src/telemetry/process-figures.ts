import type { Family } from './exposition.js'

/** So often the event loop's delay is looked at (ms): each look wakes the process. */
const LOOP_PRECISION_MS = 20

/** Process and event loop, as prom-client measures them. */
export interface ProcessFigures {
  read(name: string): Promise<Family[]>
  /** Families of one name, of several processes, become one. */
  print(families: readonly Family[]): Promise<string>
}

const withProcess = (family: Family, process: string): Family => ({
  ...family,
  values: family.values.map((sample) => ({ ...sample, labels: { ...sample.labels, process } })),
})

function joinFamilies(families: readonly Family[]): Family[] {
  const byName = new Map<string, Family>()
  for (const family of families) {
    const known = byName.get(family.name)
    byName.set(family.name, known ? { ...known, values: [...known.values, ...family.values] } : family)
  }
  return [...byName.values()]
}

/** Loaded when somebody reads figures for the first time: it costs memory and a timer from then on. */
export async function openProcessFigures(): Promise<ProcessFigures> {
  const { default: client } = await import('prom-client')
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS })
  return {
    async read(name) {
      // Safe: prom-client's own objects, of which these are the fields; none of the default ones is a summary.
      const families = (await registry.getMetricsAsJSON()) as unknown as Family[]
      // The sums of what their labels tell, under names of counters, which they are not (promtool check metrics).
      const named = families.filter(({ name: family, type }) => type !== 'gauge' || !family.endsWith('_total'))
      return named.map(({ name: family, help, type, values }) =>
        withProcess({ name: family, help, type, values }, name),
      )
    },
    async print(families) {
      const all = new client.Registry()
      for (const family of joinFamilies(families))
        // Safe: a registry asks a metric for its name, and when it prints for what a family is.
        all.registerMetric({ name: family.name, get: async () => family } as never)
      return all.metrics()
    },
  }
}
