// What it costs that somebody reads the metrics: 10,000 executions wait behind two workers and 10,000 have ended. Of
// all processes, since workers publish what they know of themselves only while they are read.
import { sleep } from '../../../src/platform/abort-signals.js'
import { cpuMsOf, openService, pidsOf, settle, type Service } from '../service.js'
import { HERE, type Row } from '../rows.js'
import type { Bench } from '../bench-context.js'
import { fill, ours, startRuns } from './growth.js'

const MANY = 10_000
const WORKERS = 2
/** Oftener than Prometheus asks by itself (15 s and more), or the window would have to be longer. */
const INTERVAL_MS = 5_000
const SCRAPES = 6
const MAX_PERCENT = 1

async function scrape({ port, token }: Service): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const text = await answer.text()
  if (!new RegExp(`^cc_executor_workers ${WORKERS}$`, 'm').test(text)) throw new Error(`no metrics: ${text}`)
}

async function cpuOfWindow(service: Service, work: () => Promise<void>): Promise<number> {
  const before = cpuMsOf(pidsOf(service))
  for (let count = 0; count < SCRAPES; count += 1) {
    const next = performance.now() + INTERVAL_MS
    await work()
    await sleep(Math.max(0, next - performance.now()))
  }
  return cpuMsOf(pidsOf(service)) - before
}

async function windows(bench: Bench, service: Service, work: () => Promise<void>): Promise<number[]> {
  const all: number[] = []
  for (let round = 0; round < bench.rounds; round += 1) all.push(await cpuOfWindow(service, work))
  return all
}

export async function benchScrape(bench: Bench): Promise<Row[]> {
  const service = await openService(bench, ours(bench), { workers: 0 })
  try {
    await startRuns(bench, service, WORKERS, 1)
    await fill(bench, service, MANY)
    await settle(service)
    // The other order is not possible: whoever was read once goes on for a quarter of an hour.
    const unread = await windows(bench, service, async () => undefined)
    await scrape(service)
    const read = await windows(bench, service, () => scrape(service))
    const common = { better: 'less', unit: '% of a core' } as const
    const toPercent = (cpuMs: number): number => (100 * cpuMs) / (SCRAPES * INTERVAL_MS)
    const idle = unread.toSorted((a, b) => a - b)[Math.floor(unread.length / 2)] ?? 0
    return [
      {
        id: 'scrape.share',
        title: `GET /metrics every ${INTERVAL_MS / 1000} s, ${MANY} waiting and ${MANY} finished: CPU`,
        ...common,
        samples: { [HERE]: read.map((cpuMs) => toPercent(cpuMs - idle)) },
        goals: [{ atMost: MAX_PERCENT }],
      },
      {
        id: 'scrape.unread',
        title: 'the same service, not read',
        ...common,
        samples: { [HERE]: unread.map(toPercent) },
      },
    ]
  } finally {
    await service.stopWorkers('SIGKILL')
    await service.close()
  }
}
