// What turns between tokens cost a claim: a thousand executions wait, of one token or of a thousand. The store by
// itself, on a Redis of its own, as a worker and the API call it.
import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { openDomain } from '../../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../../src/platform/config.js'
import { Lifetime } from '../../../src/platform/lifetime.js'
import { createLogger } from '../../../src/platform/logger.js'
import { openRedisServer } from '../../../src/platform/redis-server.js'
import type { Redis } from '../../../src/platform/redis.js'
import { NO_USAGE } from '../../../src/protocol/execution.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { median } from '../measure.js'
import { HERE, type Row } from '../rows.js'

const WAITING = 1_000
const CLAIMS = 250
const ROUNDS = 8
const MAX_GROWTH = 1.25
const LEASE_MS = 600_000

interface Cost {
  readonly cpuUs: number
  readonly p50Us: number
}

async function redisCpuUs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu')
  const read = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? 0)
  return (read('used_cpu_user') + read('used_cpu_sys')) * 1e6
}

function openLine(redisUrl: string, dataDir: string, tokens: number, lifetime: Lifetime) {
  const config = { ...readConfig({ CC_EXECUTOR_DATA_DIR: dataDir, LOG_LEVEL: 'silent' }), prefix: `cc-${tokens}` }
  const { store, redis } = openDomain({ config, redisUrl, logger: createLogger('silent', 'api'), lifetime }, 'keeper')
  let count = 0
  /** One for each that waits, in the order of their submission. */
  const jobs: string[] = []
  async function fill(to: number): Promise<void> {
    for (; to > 0; to -= 1) {
      const id = randomUUID()
      const owner = `token-${(count += 1) % tokens}`
      const request = { prompt: 'x' }
      const about = { requestDigest: 'digest', priority: 'normal', metadata: {}, simulated: true } as const
      await store.create({ id, owner, request, ...about, createdAt: Date.now(), workspace: id }, 2 * WAITING)
      jobs.push(id)
    }
  }
  /** By the oldest job: a claim takes whoever's turn it is. */
  async function claim(times: number[]): Promise<() => Promise<unknown>> {
    const startedAt = performance.now()
    const answer = await store.claim(jobs.shift() ?? '', 1, 'worker', LEASE_MS, 'default')
    times.push((performance.now() - startedAt) * 1_000)
    if (answer.kind !== 'claimed') throw new Error(`a claim was ${answer.kind}`)
    const outcome = { status: 'cancelled', code: 'CANCELLED', message: '' } as const
    const end = { outcome, usage: NO_USAGE, attempt: 0, finishedAt: new Date() }
    return () => store.conclude(answer.executionId, answer.fence, end)
  }
  async function measure(): Promise<Cost> {
    const [times, ends]: [number[], Array<() => Promise<unknown>>] = [[], []]
    const before = await redisCpuUs(redis)
    while (ends.length < CLAIMS) ends.push(await claim(times))
    const cpuUs = ((await redisCpuUs(redis)) - before) / CLAIMS
    for (const end of ends) await end()
    await fill(CLAIMS)
    return { cpuUs, p50Us: median(times) }
  }
  return { fill, measure }
}

export async function benchTurns(bench: Bench): Promise<Row[]> {
  const folder = await mkdtemp(join(bench.folder, 'turns-'))
  const server = await openRedisServer({ directory: join(folder, 'redis'), searchPath: [...bench.redisPath] })
  const lifetime = new Lifetime()
  try {
    const contestants = [1, WAITING].map((tokens) => ({
      name: tokens === 1 ? '1 token' : HERE,
      ...openLine(server.url, folder, tokens, lifetime),
    }))
    for (const { fill, measure } of contestants) {
      await fill(WAITING)
      // What has not run for long is slower.
      await measure()
    }
    const costs = await inTurn(ROUNDS, contestants)
    const common = { unit: 'us', better: 'less' } as const
    return [
      {
        id: 'turns.claim.cpu',
        title: `claim where ${WAITING} tokens have one waiting each, Redis alone: CPU`,
        ...common,
        samples: pick(costs, ({ cpuUs }) => cpuUs),
        goals: [{ against: '1 token', atMost: MAX_GROWTH }],
      },
      { id: 'turns.claim.p50', title: 'the same: p50', ...common, samples: pick(costs, ({ p50Us }) => p50Us) },
    ]
  } finally {
    await lifetime.close()
    await server.close()
  }
}
