// Two workers, and two APIs, on one Redis beside one of each, when both cores are busy; and that no event is lost.
import { Redis } from 'ioredis'
import { sleep } from '../../../src/platform/abort-signals.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import type { Checkout } from '../checkout.js'
import { call } from '../clients.js'
import type { Row } from '../rows.js'
import { cpuMsOf, openService, settle, type Service } from '../service.js'
import { runQuickly, type QuickRuns } from './quick-runs.js'
import { submitTo } from './submit.js'

const RUNS = 160
const SUBMIT_SECONDS = 3

const IDLE_SECONDS = 8
const IDLE_WORKERS = 6

/** What a worker that has nothing to do takes of Redis: the slope from one of them to some. */
async function costOfIdleWorkers(bench: Bench, checkout: Checkout): Promise<{ redisMs: number; connections: number }> {
  const service = await openService(bench, checkout, { workers: 0 })
  const redis = new Redis(service.redis.url.replace('unix://', ''))
  const look = async (): Promise<{ cpu: number; connections: number }> => {
    await settle(service)
    const before = cpuMsOf([service.redisPid])
    await sleep(IDLE_SECONDS * 1000)
    const cpu = (cpuMsOf([service.redisPid]) - before) / IDLE_SECONDS
    return { cpu, connections: Number(/connected_clients:(\d+)/.exec(await redis.info('clients'))?.[1]) }
  }
  try {
    await service.add('worker')
    const one = await look()
    for (let worker = 0; worker < IDLE_WORKERS; worker += 1) await service.add('worker')
    const more = await look()
    return {
      redisMs: (more.cpu - one.cpu) / IDLE_WORKERS,
      connections: (more.connections - one.connections) / IDLE_WORKERS,
    }
  } finally {
    redis.disconnect()
    await service.close()
  }
}

/** Every log of the newest runs from 1 to its end, without a gap. @throws Error where one is not whole */
async function checkLogs(service: Service): Promise<void> {
  const { executions } = await call<{ executions: Array<{ id: string }> }>(service, '/executions?limit=160')
  for (const { id } of executions) {
    const { events } = await call<{ events: Array<{ seq: number; type: string }> }>(
      service,
      `/executions/${id}/events?limit=1000`,
    )
    const isWhole = events.every(({ seq }, index) => seq === index + 1)
    const ends = events.filter(({ type }) => type === 'execution.finished').length
    if (!isWhole || ends !== 1 || events.at(-1)?.type !== 'execution.finished')
      throw new Error(`the log of ${id} is not whole: ${JSON.stringify(events).slice(0, 500)}`)
  }
}

export async function benchSeveral(bench: Bench): Promise<Row[]> {
  const [checkout] = bench.checkouts
  if (!checkout) return []
  const services: Service[] = []
  try {
    const env = { CC_EXECUTOR_CONCURRENCY: '16' }
    const one = await openService(bench, checkout, { env })
    services.push(one)
    const workers = await openService(bench, checkout, { env, workers: 2 })
    services.push(workers)
    for (const service of [one, workers]) await runQuickly(service, 32)
    const runs = await inTurn<QuickRuns>(bench.rounds, [
      { name: 'one worker', measure: () => runQuickly(one, RUNS) },
      {
        name: 'here',
        async measure() {
          const figures = await runQuickly(workers, RUNS)
          await checkLogs(workers)
          return figures
        },
      },
    ])
    const alone = await openService(bench, checkout, { workers: 0 })
    services.push(alone)
    const apis = await openService(bench, checkout, { workers: 0, apis: 2 })
    services.push(apis)
    for (const service of [alone, apis]) await submitTo(bench, service, 2)
    const posts = await inTurn(
      bench.rounds,
      [
        { name: 'one API', service: alone },
        { name: 'here', service: apis },
      ].map(({ name, service }) => ({
        name,
        async measure() {
          await settle(service)
          return submitTo(bench, service, SUBMIT_SECONDS)
        },
      })),
    )
    return [
      {
        id: 'several.workers',
        title: 'two workers on one Redis: runs that end at once',
        unit: '/s',
        better: 'more',
        samples: pick(runs, ({ perSecond }) => perSecond),
        goals: [{ against: 'one worker', atLeast: 1 }],
      },
      {
        id: 'several.apis',
        title: 'two APIs on one Redis: POST /execute, 32 connections',
        unit: '/s',
        better: 'more',
        samples: pick(posts, ({ answered, seconds }) => answered / seconds),
        goals: [{ against: 'one API', atLeast: 1 }],
      },
    ]
  } finally {
    for (const service of services) await service.close()
  }
}

export async function benchIdleWorkers(bench: Bench): Promise<Row[]> {
  const idle = await inTurn(
    1,
    bench.checkouts.map((each) => ({ name: each.name, measure: () => costOfIdleWorkers(bench, each) })),
  )
  return [
    {
      id: 'idle-workers.redis',
      title: 'a worker that has nothing to do: CPU of Redis',
      unit: 'ms/s',
      better: 'less',
      samples: pick(idle, ({ redisMs }) => redisMs),
    },
    {
      id: 'idle-workers.connections',
      title: 'the same: connections to Redis',
      unit: '',
      better: 'less',
      samples: pick(idle, ({ connections }) => connections),
      isPortable: true,
    },
  ]
}
