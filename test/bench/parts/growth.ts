// Whether a call costs more when much is there: 100,000 executions that wait and 100,000 that have ended, or 1,000
// watched runs. Of ours only: the yardstick is a second service that is nearly empty, asked in turn.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../../src/platform/abort-signals.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import type { Checkout } from '../checkout.js'
import { call, load, readSockets, subscribeMessage, toPrompt, type LoadOptions } from '../clients.js'
import { HERE, type Row } from '../rows.js'
import { cpuMsOf, openService, settle, type Service } from '../service.js'
import { BODY } from './submit.js'

const FEW = 1_000
const MANY = Number(process.env['BENCH_MANY'] ?? 100_000)
const CALLS = 100
const ROUNDS = 5
const CONNECTIONS = 32
const CLAIM_SECONDS = 4
const CLAIM_ROUNDS = 2
const MAX_GROWTH = 1.25
/** Stands for an id in a path. */
const ID = '#'.repeat(36)

/** CPU of API and Redis, which a busy machine changes less than the time. */
interface Cost {
  readonly cpuUs: number
  readonly p50Ms: number
}

interface Place {
  readonly name: string
  readonly service: Service
  /** Of executions that wait. */
  readonly ids: readonly string[]
}

type Call = Omit<LoadOptions, 'ports' | 'token'>
const CALL_TABLE: ReadonlyArray<readonly [id: string, title: string, options: Call]> = [
  ['status', 'GET /executions/{id}', { path: `/executions/${ID}` }],
  ['list', 'GET /executions?limit=50', { path: '/executions?limit=50' }],
  ['queue', 'GET /queue', { path: '/queue' }],
  ['metrics', 'GET /metrics', { path: '/metrics' }],
  ['submit', 'POST /execute', { method: 'POST', path: '/execute', body: BODY }],
  [
    'cancel',
    'POST /executions/{id}/cancel of one that waits',
    { method: 'POST', path: `/executions/${ID}/cancel`, body: '{}' },
  ],
]

async function cost(bench: Bench, { service, ids }: Place, options: Call, round: number): Promise<Cost> {
  const { ports, token, apiPids, redisPid } = service
  // Those in the middle of the queue, others in each round.
  const from = Math.floor((ids.length - CALLS * (ROUNDS + 1)) / 2) + round * CALLS
  const idsIn = join(bench.folder, 'ids-of-calls')
  await writeFile(idsIn, `${ids.slice(from, from + CALLS).join('\n')}\n`)
  const before = cpuMsOf([...apiPids, redisPid])
  const { answered, p50Ms } = await load(bench, { ports, token, ...options, idsIn, count: CALLS })
  return { cpuUs: ((cpuMsOf([...apiPids, redisPid]) - before) * 1000) / answered, p50Ms }
}

/** What Redis does for a run from its claim to its end, while a worker works off the queue for some seconds. */
async function costOfClaim({ service }: Place): Promise<Cost> {
  const waiting = async (): Promise<number> => (await call<{ depth: number }>(service, '/queue')).depth
  await service.add('worker', { CC_EXECUTOR_CONCURRENCY: '8' })
  try {
    await sleep(1_500)
    const [before, cpu] = [await waiting(), cpuMsOf([service.redisPid])]
    await sleep(CLAIM_SECONDS * 1000)
    const claimed = before - (await waiting())
    if (claimed <= 0) throw new Error('nothing was claimed')
    const cpuUs = ((cpuMsOf([service.redisPid]) - cpu) * 1000) / claimed
    return { cpuUs, p50Ms: (CLAIM_SECONDS * 1000) / claimed }
  } finally {
    await service.stopWorkers()
  }
}

const toRows = (id: string, title: string, costs: Record<string, Cost[]>): Row[] => {
  const other = Object.keys(costs).find((name) => name !== HERE) ?? ''
  return [
    {
      id: `${id}.cpu`,
      title: `${title}: CPU`,
      unit: 'us',
      better: 'less',
      samples: pick(costs, ({ cpuUs }) => cpuUs),
      goals: [{ against: other, atMost: MAX_GROWTH }],
    },
    {
      id: `${id}.p50`,
      title: 'the same: p50',
      unit: 'ms',
      better: 'less',
      samples: pick(costs, ({ p50Ms }) => p50Ms),
    },
  ]
}

/** Every call at each place, in turn. */
async function compareCalls(bench: Bench, part: string, what: string, places: readonly Place[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const [id, title, options] of CALL_TABLE) {
    const lanes = places.map((place) => ({
      name: place.name,
      measure: (round: number) => cost(bench, place, options, round),
    }))
    for (const { service } of places) await settle(service)
    // A first one for what has not run for long; its ids are those of no round.
    for (const { measure } of lanes) await measure(ROUNDS)
    rows.push(...toRows(`${part}.${id}`, `${title}, ${what}`, await inTurn(ROUNDS, lanes)))
  }
  return rows
}

const submit = async (bench: Bench, { ports, token }: Service, count: number, body = BODY): Promise<string[]> => {
  const idsOut = join(bench.folder, 'ids-submitted')
  const connections = Math.min(count, CONNECTIONS)
  await load(bench, { ports, token, connections, count, method: 'POST', path: '/execute', body, idsOut })
  return (await readFile(idsOut, 'utf8')).trim().split('\n')
}

/** Twice as many are submitted, and the later half of them is cancelled: ended they are, as after a run. */
export async function fill(bench: Bench, service: Service, count: number): Promise<string[]> {
  const ids = await submit(bench, service, 2 * count)
  const idsIn = join(bench.folder, 'ids-to-cancel')
  await writeFile(idsIn, `${ids.slice(count).toReversed().join('\n')}\n`)
  const { ports, token } = service
  const path = `/executions/${ID}/cancel`
  await load(bench, { ports, token, connections: CONNECTIONS, method: 'POST', count, path, body: '{}', idsIn })
  return ids.slice(0, count)
}

export const ours = ({ checkouts: [checkout] }: Bench): Checkout => {
  if (!checkout) throw new Error('there is no checkout')
  return checkout
}

/** A nearly empty service and a full one, both warm. */
async function withPlaces(
  bench: Bench,
  names: readonly string[],
  make: (service: Service, name: string) => Promise<readonly string[]>,
  use: (places: readonly Place[]) => Promise<Row[]>,
): Promise<Row[]> {
  const places: Place[] = []
  const services: Service[] = []
  try {
    for (const name of names) {
      const service = await openService(bench, ours(bench), { workers: 0 })
      services.push(service)
      places.push({ name, service, ids: await make(service, name) })
    }
    return await use(places)
  } finally {
    for (const service of services) await service.close()
  }
}

export async function benchGrowth(bench: Bench): Promise<Row[]> {
  const few = String(FEW)
  const what = `${MANY} waiting and ${MANY} finished`
  return withPlaces(
    bench,
    [few, HERE],
    (service, name) => fill(bench, service, name === HERE ? MANY : FEW),
    async (places) => {
      const rows = await compareCalls(bench, 'growth', what, places)
      const lanes = places.map((place) => ({ name: place.name, measure: () => costOfClaim(place) }))
      const claims = await inTurn(CLAIM_ROUNDS, lanes)
      return [...rows, ...toRows('growth.claim', `claim and run, Redis alone, ${what}`, claims)]
    },
  )
}

const WATCHED = 1_000
const PER_WORKER = 250
const START_DEADLINE_MS = 300_000

/** Runs that print nothing; and executions that wait behind them. */
export async function startRuns(
  bench: Bench,
  service: Service,
  runs: number,
  perWorker = Math.min(runs, PER_WORKER),
): Promise<string[]> {
  const env = { CC_EXECUTOR_CONCURRENCY: String(perWorker) }
  for (let worker = 0; worker < runs / perWorker; worker += 1) await service.add('worker', env)
  const prompt = toPrompt({ kind: 'raw', bytes: 200, lines: 1, delayMs: 600_000 })
  const ids = await submit(bench, service, runs, JSON.stringify({ prompt }))
  const deadline = performance.now() + START_DEADLINE_MS
  // So many starts at once can hold up the API for longer than it waits for Redis: it is asked once more.
  const running = (): Promise<number> =>
    call<{ running: number }>(service, '/queue').then(
      (queue) => queue.running,
      () => 0,
    )
  while ((await running()) < runs) {
    if (performance.now() > deadline) throw new Error(`not all of ${runs} runs have started`)
    await sleep(1_000)
  }
  return ids
}

/** Each of the runs is followed by a socket while the work is done. */
const whileWatched = (bench: Bench, { port, token }: Service, ids: readonly string[], work: () => Promise<void>) =>
  readSockets(bench, {
    port,
    path: '/ws',
    token,
    connections: ids.length,
    lines: 0,
    messages: () => Promise.resolve(ids.map(subscribeMessage)),
    onReady: work,
  })

export async function benchGrowthWatched(bench: Bench): Promise<Row[]> {
  const watched = new Map<Service, string[]>()
  return withPlaces(
    bench,
    ['1 run', HERE],
    async (service, name) => {
      watched.set(service, await startRuns(bench, service, name === HERE ? WATCHED : 1))
      return submit(bench, service, FEW)
    },
    async (places) => {
      let rows: Row[] = []
      let work = async (): Promise<void> => {
        rows = await compareCalls(bench, 'watched', `${WATCHED} watched runs`, places)
      }
      for (const [service, ids] of watched) {
        const inner = work
        work = async () => void (await whileWatched(bench, service, ids, inner))
      }
      await work()
      // The kernel ends the runs with their workers: to let each end of itself would take longer than all the rest.
      for (const service of watched.keys()) await service.stopWorkers('SIGKILL')
      return rows
    },
  )
}
