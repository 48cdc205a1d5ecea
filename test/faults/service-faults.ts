import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/deadline.js'
import type { Event } from '../../src/protocol/events.js'
import type { Transport } from '../support/cluster.js'
import { until } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { openScene, RESULT } from './scene.js'

/** Everything is told to stop at once, Redis too, and comes back: nothing that was accepted is forgotten. */
export async function endEverythingAtOnce(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'endEverythingAtOnce', seed })
  const { redis, random, cluster } = scene
  await Promise.all([scene.openApi(), scene.openApi(), scene.openWorker({ CC_EXECUTOR_CONCURRENCY: '2' }), scene.openWorker({ CC_EXECUTOR_CONCURRENCY: '2' })])
  const go = join(cluster.folder, 'go')
  const running = await Promise.all([1, 2, 3, 4].map((which) => scene.submit(`running ${which}`, [{ ticks: 10_000, everyMs: random.between(20, 80), until: go }, RESULT])))
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  const waiting = await Promise.all([1, 2, 3].map((which) => scene.submit(`waiting ${which}`, [{ ticks: 3, everyMs: 10 }, RESULT])))
  await sleep(random.between(0, 300))
  const isRedisToo = random.between(0, 2) === 1
  t.comment(isRedisToo ? 'with Redis' : 'without Redis')
  const all = [...scene.apis, ...scene.workers]
  const [endings] = await Promise.all([Promise.all(all.map((member) => scene.end(member, 'SIGTERM'))), isRedisToo && redis.end('SIGTERM')])
  // Without Redis a worker cannot close BullMQ's books: it ends at its own deadline, and says so by its exit code.
  for (const { code, signal } of endings) t.ok(signal === null && (code === 0 || isRedisToo), `each ends well: ${String(signal ?? code)}`)
  if (isRedisToo) await redis.start()
  await Promise.all([scene.openApi(), scene.openApi(), scene.openWorker()])
  for (const execution of running) t.match(await scene.ended(execution), { status: 'failed', code: 'WORKER_LOST' }, execution.name)
  for (const execution of waiting) t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  await checkInvariants(t, scene)
}

/** One key, fifty requests at two APIs; and readers who come and go, stop reading, or vanish. */
export async function submitFiftyTimes(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'submitFiftyTimes', seed })
  const { random, cluster } = scene
  const [first] = await Promise.all([scene.openApi(), scene.openApi(), scene.openWorker()])
  const [mark, go] = [join(cluster.folder, 'marks', 'once'), join(cluster.folder, 'go')]
  await writeFile(mark, '')
  const prompt = JSON.stringify([{ mark }, { ticks: 10_000, everyMs: 10, until: go }, RESULT])
  const answers = await Promise.all(Array.from({ length: 50 }, () => cluster.call(random.pick(scene.apis), 'POST', '/execute', { prompt }, { 'idempotency-key': 'once' })))
  const ids = new Set(answers.map(({ body }) => body.id))
  t.equal(ids.size, 1, 'one execution')
  t.equal(answers.filter(({ status }) => status === 202).length, 1, 'one of them made it')
  t.ok(answers.every(({ status, headers }) => status === 202 || (status === 200 && headers.get('idempotent-replayed') === 'true')), 'the others are told so')
  t.equal((await cluster.call(first, 'GET', '/executions')).body.executions.length, 1)
  const [id = ''] = ids
  const execution = scene.watch(id, 'once', mark)

  // Comes back a hundred times, for one event each, by any transport and at any API.
  const seen: Event[] = []
  const transports: Transport[] = ['websocket', 'sse', 'rest']
  for (let visit = 0; visit < 100; visit += 1) {
    for await (const event of cluster.follow(random.pick(scene.apis), id, seen.length, random.pick(transports))) {
      seen.push(event)
      break
    }
  }
  await writeFile(go, '')
  t.match(await scene.ended(execution), { status: 'succeeded' })
  t.same(seen.map(({ seq }) => seq), Array.from({ length: 100 }, (_, index) => index + 1), 'each event once')
  await checkInvariants(t, scene)
}
