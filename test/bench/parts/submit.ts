// POST /execute: requests a second on 32 connections, a queue without workers.
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openRedisServer } from '../../../src/platform/redis-server.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { call, load, type Load } from '../clients.js'
import { openPeer } from '../peers/open-peer.js'
import type { Row } from '../rows.js'
import { BASE } from '../rows.js'
import { cpuMsOf, pidsOf, settle, withServices, type Service } from '../service.js'

const SECONDS = 3
const WARM_UP_SECONDS = 2
const CONNECTIONS = 32
/** 500 B with its braces. */
export const BODY = JSON.stringify({ prompt: 'BENCH none 0 0 0 0 '.padEnd(487, 'x') })

interface Figures extends Load {
  readonly cpuMs?: number
}

export const submitTo = (bench: Bench, service: Service, seconds: number): Promise<Load> =>
  load(bench, {
    ports: service.ports,
    connections: CONNECTIONS,
    seconds,
    method: 'POST',
    path: '/execute',
    token: service.token,
    body: BODY,
  })

export async function benchSubmit(bench: Bench): Promise<Row[]> {
  const folder = await mkdtemp(join(bench.folder, 'submit-'))
  const redis = await openRedisServer({ directory: join(folder, 'redis'), searchPath: bench.redisPath })
  const peers = await Promise.all([
    openPeer('http-peer', ['route']),
    openPeer('http-peer', ['add', redis.url.replace('unix://', '')]),
  ])
  const [bare, add] = peers
  try {
    return await withServices(bench, { workers: 0 }, async (services) => {
      const ofPeer = (port: number) => (seconds: number) =>
        load(bench, { ports: [port], connections: CONNECTIONS, seconds, method: 'POST', path: '/execute', body: BODY })
      const lanes = [
        { name: 'bare', submit: ofPeer(bare.port), service: undefined },
        { name: 'bare+add', submit: ofPeer(add.port), service: undefined },
        ...services.map((service) => ({
          name: service.checkout.name,
          service,
          submit: (seconds: number) => submitTo(bench, service, seconds),
        })),
      ]
      for (const { submit } of lanes) await submit(WARM_UP_SECONDS)
      const results = await inTurn<Figures>(
        bench.rounds,
        lanes.map(({ name, submit, service }) => ({
          name,
          async measure() {
            if (!service) return submit(SECONDS)
            await settle(service)
            const before = cpuMsOf(pidsOf(service))
            const figures = await submit(SECONDS)
            return { ...figures, cpuMs: cpuMsOf(pidsOf(service)) - before }
          },
        })),
      )
      const lists = await inTurn(
        bench.rounds,
        services.map((service) => ({
          name: service.checkout.name,
          async measure() {
            await call(service, '/executions?limit=50')
            return load(bench, {
              ports: service.ports,
              seconds: 1.5,
              path: '/executions?limit=50',
              token: service.token,
            })
          },
        })),
      )
      return [
        {
          id: 'submit.rate',
          title: 'POST /execute, 500 B, 32 connections',
          unit: '/s',
          better: 'more',
          samples: pick(results, ({ answered, seconds }) => answered / seconds),
          goals: [
            { against: BASE, atLeast: 4 },
            { against: 'bare+add', atLeast: 0.45 },
          ],
        },
        {
          id: 'submit.cpu',
          title: 'the same: CPU of API and Redis a request',
          unit: 'us',
          better: 'less',
          samples: pick(results, ({ cpuMs, answered }) =>
            cpuMs === undefined ? undefined : (cpuMs * 1000) / answered,
          ),
        },
        {
          id: 'submit.p99',
          title: 'the same: p99',
          unit: 'ms',
          better: 'less',
          samples: pick(results, ({ p99Ms }) => p99Ms),
        },
        {
          id: 'submit.list',
          title: 'GET /executions?limit=50, one after the other, p50',
          unit: 'ms',
          better: 'less',
          samples: pick(lists, ({ p50Ms }) => p50Ms),
          goals: [{ against: BASE, atMost: 0.25 }],
        },
      ]
    })
  } finally {
    for (const peer of peers) await peer.close()
    await redis.close()
    await rm(folder, { recursive: true, force: true })
  }
}
