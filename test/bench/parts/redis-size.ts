// What Redis keeps of an execution that waits, and of one that has ended.
import { Redis } from 'ioredis'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { load, toPrompt } from '../clients.js'
import { BASE, type Row } from '../rows.js'
import { settle, withServices, type Service } from '../service.js'

const WAITING = 5_000
const FINISHED = 240
/** A prompt of 400 B. */
const BODY = JSON.stringify({ prompt: 'Say hello. '.padEnd(400, 'x') })
/** 20 deltas of 300 B of text each, which is packed no better than English. */
const DELTAS = { kind: 'prose', bytes: 520, lines: 20 } as const

/** In KB of 1,000 bytes, beyond what is there without any. */
async function growthBy(service: Service, count: number, make: () => Promise<unknown>): Promise<number> {
  const redis = new Redis(service.redis.url.replace('unix://', ''))
  // Without the buffers of connections, which grow once by more than a hundred executions take.
  const usedMemory = async (): Promise<number> =>
    Number(/used_memory_dataset:(\d+)/.exec(await redis.info('memory'))?.[1])
  try {
    await settle(service)
    const before = await usedMemory()
    await make()
    await settle(service)
    return ((await usedMemory()) - before) / count / 1000
  } finally {
    redis.disconnect()
  }
}

const submit = (bench: Bench, { ports, token }: Service, count: number, body: string, headers = ''): Promise<unknown> =>
  load(bench, { ports, token, connections: 16, count, method: 'POST', path: '/execute', body, headers })

export async function benchRedisSize(bench: Bench): Promise<Row[]> {
  const waiting = await withServices(bench, { workers: 0 }, (services) =>
    inTurn(
      1,
      services.map((service) => ({
        name: service.checkout.name,
        async measure() {
          await submit(bench, service, 100, BODY)
          return growthBy(service, WAITING, () => submit(bench, service, WAITING, BODY))
        },
      })),
    ),
  )
  const body = JSON.stringify({ prompt: toPrompt(DELTAS) })
  const finished = await withServices(bench, { env: { CC_EXECUTOR_CONCURRENCY: '16' } }, (services) =>
    inTurn(
      1,
      services.map((service) => ({
        name: service.checkout.name,
        async measure() {
          // An answer comes when the run has ended.
          const wait = 'Prefer: wait=60'
          await submit(bench, service, 16, body, wait)
          return growthBy(service, FINISHED, () => submit(bench, service, FINISHED, body, wait))
        },
      })),
    ),
  )
  return [
    {
      id: 'redis-size.waiting',
      title: 'Redis per waiting execution, a prompt of 400 B',
      unit: 'KB',
      better: 'less',
      samples: pick(waiting, (size) => size),
      goals: [{ atMost: 4.5 }],
      isPortable: true,
    },
    {
      id: 'redis-size.finished',
      title: 'Redis per finished execution, 20 deltas and 6 KB of text',
      unit: 'KB',
      better: 'less',
      samples: pick(finished, (size) => size),
      goals: [{ against: BASE, atMost: 0.6 }],
      isPortable: true,
    },
  ]
}
