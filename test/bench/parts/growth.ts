// Whether a call costs more when much is there: 100,000 executions that wait and 100,000 that have ended, or 1,000
// watched runs. Of ours only: the yardstick is the same service while it is nearly empty.
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../../src/platform/abort-signals.js'
import type { Bench } from '../bench-context.js'
import { call, load, readSockets, subscribeMessage, toPrompt, type LoadOptions } from '../clients.js'
import { HERE, type Row } from '../rows.js'
import { cpuMsOf, openService, settle, type Service } from '../service.js'
import { BODY } from './submit.js'

const FEW = 1_000
const MANY = Number(process.env['BENCH_MANY'] ?? 100_000)
/** Of each kind; three times, of which the median counts. */
const CALLS = 150
const REPEATS = 3
const CONNECTIONS = 32
const CLAIM_SECONDS = 5
const MAX_GROWTH = 1.25
/** Stands for an id in a path. */
const ID = '#'.repeat(36)

/** What a call costs: CPU of API and Redis, which a busy machine changes less than the time. */
interface Cost {
  readonly cpuUs: number[]
  readonly p50Ms: number[]
}

interface Call {
  readonly title: string
  readonly options: Omit<LoadOptions, 'ports' | 'token'>
}

async function cost(bench: Bench, service: Service, { options }: Call, ids: readonly string[]): Promise<Cost> {
  const pids = [...service.apiPids, service.redisPid]
  const { ports, token } = service
  const costs: Cost = { cpuUs: [], p50Ms: [] }
  await settle(service)
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const idsIn = join(bench.folder, 'ids-of-calls')
    await writeFile(idsIn, `${ids.slice(repeat * CALLS, (repeat + 1) * CALLS).join('\n')}\n`)
    const before = cpuMsOf(pids)
    const { answered, p50Ms } = await load(bench, { ports, token, ...options, idsIn, count: CALLS })
    costs.cpuUs.push(((cpuMsOf(pids) - before) * 1000) / answered)
    costs.p50Ms.push(p50Ms)
  }
  return costs
}

/** Each call of the API. `ids`: waiting ones, of which those in the middle are asked for, and cancelled at the end. */
async function costOfCalls(bench: Bench, service: Service, ids: readonly string[]): Promise<Map<string, Cost>> {
  const needed = CALLS * REPEATS
  const middle = ids.slice(Math.floor((ids.length - needed) / 2)).slice(0, needed)
  const calls: Call[] = [
    { title: 'GET /executions/{id}', options: { path: `/executions/${ID}` } },
    { title: 'GET /executions?limit=50', options: { path: '/executions?limit=50' } },
    { title: 'GET /queue', options: { path: '/queue' } },
    { title: 'POST /execute', options: { method: 'POST', path: '/execute', body: BODY } },
    {
      title: 'POST /executions/{id}/cancel',
      options: { method: 'POST', path: `/executions/${ID}/cancel`, body: '{}' },
    },
  ]
  const costs = new Map<string, Cost>()
  for (const entry of calls) costs.set(entry.title, await cost(bench, service, entry, middle))
  return costs
}

/** How much of Redis a run takes from its claim to its end, while a worker works off the queue for some seconds. */
async function costOfClaim(service: Service): Promise<Cost> {
  const waiting = async (): Promise<number> => (await call<{ depth: number }>(service, '/queue')).depth
  await service.add('worker', { CC_EXECUTOR_CONCURRENCY: '8' })
  try {
    await sleep(1_500)
    const [before, cpu] = [await waiting(), cpuMsOf([service.redisPid])]
    await sleep(CLAIM_SECONDS * 1000)
    const claimed = before - (await waiting())
    if (claimed === 0) throw new Error('nothing was claimed')
    const cpuUs = ((cpuMsOf([service.redisPid]) - cpu) * 1000) / claimed
    return { cpuUs: [cpuUs], p50Ms: [(CLAIM_SECONDS * 1000) / claimed] }
  } finally {
    await service.stopWorkers()
  }
}

/** Twice as many are submitted, and the later half of them is cancelled: ended they are, as after a run. */
async function fill(bench: Bench, service: Service, count: number): Promise<string[]> {
  const { ports, token } = service
  const common = { ports, token, connections: CONNECTIONS, method: 'POST' }
  const [all, half] = [join(bench.folder, 'ids-all'), join(bench.folder, 'ids-half')]
  await load(bench, { ...common, count: 2 * count, path: '/execute', body: BODY, idsOut: all })
  const ids = (await readFile(all, 'utf8')).trim().split('\n')
  const file = await open(half, 'w')
  await file.writeFile(`${ids.slice(count).toReversed().join('\n')}\n`)
  await file.close()
  await load(bench, { ...common, count, path: `/executions/${ID}/cancel`, body: '{}', idsIn: half })
  return ids.slice(0, count)
}

const toRows = (
  part: string,
  few: Map<string, Cost>,
  many: Map<string, Cost>,
  what: readonly [string, string],
): Row[] =>
  [...few].flatMap(([title, before]) => {
    const after = many.get(title)
    if (!after) return []
    const id = `${part}.${title
      .replaceAll(/[^\w]+/g, '-')
      .replaceAll(/^-|-$/g, '')
      .toLowerCase()}`
    const [, name] = what
    return [
      {
        id: `${id}.cpu`,
        title: `${title}, ${what[0]}: CPU`,
        unit: 'us',
        better: 'less',
        samples: { [HERE]: after.cpuUs, [name]: before.cpuUs },
        goals: [{ against: name, atMost: MAX_GROWTH }],
      },
      {
        id: `${id}.p50`,
        title: 'the same: p50',
        unit: 'ms',
        better: 'less',
        samples: { [HERE]: after.p50Ms, [name]: before.p50Ms },
      },
    ]
  })

const ours = (bench: Bench) => {
  const [checkout] = bench.checkouts
  if (!checkout) throw new Error('there is no checkout')
  return checkout
}
const CLAIM = 'claim and run, Redis alone'

export async function benchGrowth(bench: Bench): Promise<Row[]> {
  const service = await openService(bench, ours(bench), { workers: 0 })
  try {
    // Nothing of it is cold when the first figure is taken.
    await costOfCalls(bench, service, await fill(bench, service, FEW / 2))
    const few = await costOfCalls(bench, service, await fill(bench, service, FEW / 2))
    few.set(CLAIM, await costOfClaim(service))
    const ids = await fill(bench, service, MANY)
    const many = await costOfCalls(bench, service, ids)
    many.set(CLAIM, await costOfClaim(service))
    return toRows('growth', few, many, [`${MANY} waiting and ${MANY} finished`, String(FEW)])
  } finally {
    await service.close()
  }
}

const WATCHED = 1_000
const PER_WORKER = 250
const START_DEADLINE_MS = 100_000

/** Runs that print nothing, each followed by a socket; then what a call costs beside them. */
async function costBeside(bench: Bench, runs: number): Promise<Map<string, Cost>> {
  const service = await openService(bench, ours(bench), { workers: 0 })
  try {
    const perWorker = Math.min(runs, PER_WORKER)
    const env = { CC_EXECUTOR_CONCURRENCY: String(perWorker) }
    for (let worker = 0; worker < runs / perWorker; worker += 1) await service.add('worker', env)
    const { ports, token, port } = service
    const prompt = toPrompt({ kind: 'raw', bytes: 200, lines: 1, delayMs: 600_000 })
    const idsOut = join(bench.folder, `ids-watched-${runs}`)
    await load(bench, {
      ports,
      token,
      count: runs,
      connections: Math.min(runs, CONNECTIONS),
      method: 'POST',
      path: '/execute',
      body: JSON.stringify({ prompt }),
      idsOut,
    })
    const ids = (await readFile(idsOut, 'utf8')).trim().split('\n')
    const deadline = performance.now() + START_DEADLINE_MS
    while ((await call<{ running: number }>(service, '/queue')).running < runs) {
      if (performance.now() > deadline) throw new Error(`not all of ${runs} runs have started`)
      await sleep(250)
    }
    let costs = new Map<string, Cost>()
    await readSockets(bench, {
      port,
      path: '/ws',
      token,
      connections: runs,
      lines: 0,
      messages: ids.map(subscribeMessage),
      onReady: async () => {
        const waiting = join(bench.folder, `ids-waiting-${runs}`)
        const common = { ports, token, connections: CONNECTIONS, method: 'POST', path: '/execute', body: BODY }
        await load(bench, { ...common, count: 2 * FEW, idsOut: waiting })
        const all = (await readFile(waiting, 'utf8')).trim().split('\n')
        await costOfCalls(bench, service, all.slice(0, FEW))
        costs = await costOfCalls(bench, service, all.slice(FEW))
      },
    })
    return costs
  } finally {
    await service.close()
  }
}

export async function benchGrowthWatched(bench: Bench): Promise<Row[]> {
  const few = await costBeside(bench, 1)
  const many = await costBeside(bench, WATCHED)
  return toRows('watched', few, many, [`${WATCHED} watched runs`, '1 run'])
}
