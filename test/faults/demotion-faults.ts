import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { openFaultyRedis, type FaultyRedis } from './faulty-redis.js'
import { checkInvariants } from './invariants.js'
import { openScene, RESULT, type Scene } from './scene.js'
import { submitMeanwhile } from './store-faults.js'
import { until } from '../support/deadlines.js'

/** Whoever writes finds out within some seconds, and all others with it. */
const LEAVING_MS = 60_000

const roleOf = async ({ admin }: FaultyRedis): Promise<string | undefined> =>
  /^role:(\w+)/m.exec(await admin.info('replication'))?.[1]
const isFollowing = async ({ admin }: FaultyRedis): Promise<boolean> =>
  /^master_link_status:up/m.test(await admin.info('replication'))

/** Who is connected beside the two that ask, and the other Redis. */
async function listClients({ admin }: FaultyRedis): Promise<string[]> {
  const clients = String(await admin.call('CLIENT', 'LIST')).split('\n')
  const own = String(await admin.client('ID'))
  return clients.filter((line) => line !== '' && !line.startsWith(`id=${own} `) && !/ flags=[MS]/.test(line))
}

const readinessOf = async ({ cluster, apis }: Scene): Promise<Array<[status: number, redis: string]>> =>
  Promise.all(
    apis.map(async (api) => {
      const { status, body } = await cluster.call(api, 'GET', '/health/ready')
      return [status, body.parts.redis.message]
    }),
  )

/**
 * The primary becomes a read-only replica under open connections, and another Redis the primary, as an operator, or who
 * manages a Redis, does it. For a while the address still leads to the old one, as a proxy's does that has not looked
 * yet.
 */
export async function demotePrimary(
  t: Test,
  seed: string,
  { processes = 1, rounds = 1 }: { processes?: number; rounds?: number } = {},
): Promise<void> {
  const scene = await openScene(t, {
    name: 'demotePrimary',
    seed,
    env: { CC_EXECUTOR_LOCK_SECONDS: '40', CC_EXECUTOR_CONCURRENCY: '2' },
    watchers: 3,
  })
  const { random, cluster } = scene
  let primary = scene.redis
  let next = await openFaultyRedis(t)
  const ports = new Map<FaultyRedis, number>()
  for (const redis of [primary, next]) ports.set(redis, await redis.listen())
  const portOf = (redis: FaultyRedis): number => ports.get(redis) ?? 0
  await next.admin.replicaof('127.0.0.1', portOf(primary))
  await until(() => isFollowing(next), 'the replica has all')
  await Promise.all(Array.from({ length: processes }, () => Promise.all([scene.hostApi(), scene.hostWorker()])))
  const members = [...scene.apis, ...scene.workers]

  const go = join(cluster.folder, 'go')
  const running = await Promise.all(
    Array.from({ length: 2 * processes }, (_, which) =>
      scene.submit(`stream ${which}`, [{ ticks: 10_000, everyMs: random.between(100, 300), until: go }, RESULT]),
    ),
  )
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  const waiting = await Promise.all(
    Array.from({ length: 3 }, (_, which) => scene.submit(`waiting ${which}`, [{ ticks: 3, everyMs: 10 }, RESULT])),
  )

  for (let round = 1; round <= rounds; round += 1) {
    await primary.admin.call('FAILOVER', 'TO', '127.0.0.1', String(portOf(next)))
    await until(
      async () => (await roleOf(primary)) === 'slave' && (await roleOf(next)) === 'master',
      'they have changed',
    )
    const submitAgain = await submitMeanwhile(t, scene, `while there is no primary, ${round}`)
    await until(
      async () => (await readinessOf(scene)).every(([status]) => status === 503),
      'every API says that it is not ready',
    )
    t.match((await readinessOf(scene))[0], [503, /read-only replica|store is unavailable/])
    await sleep(random.between(500, 2_000))

    for (const { link } of members) link.lead(next.socket)
    await until(async () => (await readinessOf(scene)).every(([status]) => status === 200), 'every API is ready again')
    const counts = running.map(({ seen }) => seen.map(({ length }) => length))
    await until(
      () =>
        running.every(({ seen }, index) =>
          seen.every(({ length }, which) => length > (counts[index]?.[which] ?? 0) + 2),
        ),
      'all go on, and everybody sees it',
    )
    await submitAgain()
    await until(async () => (await listClients(primary)).length === 0, 'nobody stays at the old one', LEAVING_MS).catch(
      () => undefined,
    )
    t.same(await listClients(primary), [], 'nobody stays at the old one')
    await until(() => isFollowing(primary), 'the old one follows')
    ;[primary, next] = [next, primary]
  }

  await writeFile(go, '')
  for (const execution of [...running, ...waiting])
    t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  await checkInvariants(t, { ...scene, redis: primary })
}
