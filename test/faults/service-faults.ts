import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import type { Transport } from '../support/cluster.js'
import { listMentioning } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { openScene, RESULT } from './scene.js'
import { until } from '../support/deadlines.js'

/** Everything is told to stop at once, Redis too, and comes back: nothing that was accepted is forgotten. */
export async function endEverythingAtOnce(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'endEverythingAtOnce', seed })
  const { redis, random, cluster } = scene
  const all = await Promise.all([
    scene.openApi(),
    scene.openWorker({ CC_EXECUTOR_CONCURRENCY: '2' }),
    scene.openWorker({ CC_EXECUTOR_CONCURRENCY: '2' }),
  ])
  const go = join(cluster.folder, 'go')
  const running = await Promise.all(
    [1, 2, 3, 4].map((which) =>
      scene.submit(`running ${which}`, [{ ticks: 10_000, everyMs: random.between(100, 300), until: go }, RESULT]),
    ),
  )
  await until(() => running.every((execution) => execution.has('claude.message')), 'all run')
  const waiting = await Promise.all(
    [1, 2, 3].map((which) => scene.submit(`waiting ${which}`, [{ ticks: 3, everyMs: 10 }, RESULT])),
  )
  await sleep(random.between(0, 300))
  const isRedisToo = random.between(0, 2) === 1
  t.comment(isRedisToo ? 'with Redis' : 'without Redis')
  const [endings] = await Promise.all([
    Promise.all(all.map((member) => scene.end(member, 'SIGTERM'))),
    isRedisToo && redis.end('SIGTERM'),
  ])
  for (const [index, { code, signal }] of endings.entries())
    t.equal(signal ?? code, 0, 'each ends well', { said: all[index]?.stderr() })
  if (isRedisToo) await redis.start()
  await Promise.all([scene.hostApi(), scene.hostWorker()])
  for (const execution of running)
    t.match(await scene.ended(execution), { status: 'failed', code: 'WORKER_LOST' }, execution.name)
  for (const execution of waiting) t.match(await scene.ended(execution), { status: 'succeeded' }, execution.name)
  await checkInvariants(t, scene)
}

/**
 * Redis goes in the moment in which a worker is told to stop: it ends in its time, leaves nothing and says what it
 * could not tell. Where Redis is back within the drain time, it tells.
 */
export async function stopWorkerAsRedisGoes(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'stopWorkerAsRedisGoes', seed })
  const { redis, random, cluster, tag } = scene
  const [, hasty] = await Promise.all([
    scene.hostApi(),
    scene.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '5', LOG_LEVEL: 'warn' }),
  ])
  const [untold, inTool] = await Promise.all([
    scene.submit('untold', [{ ticks: 1e6, everyMs: random.between(100, 300) }, RESULT]),
    scene.submit('in a tool call', [{ tool: `sleep ${tag}1` }, RESULT], { allowedTools: ['Bash'] }),
  ])
  await until(() => untold.has('claude.message') && inTool.has('tool.started'), 'both run')
  const askedAt = performance.now()
  const [{ code, signal }] = await Promise.all([
    scene.end(hasty, 'SIGTERM'),
    sleep(random.between(0, 50)).then(() => redis.end(random.pick(['SIGTERM', 'SIGKILL']))),
  ])
  const tookMs = performance.now() - askedAt
  t.equal(signal ?? code, 0, 'it ends well')
  t.ok(
    tookMs < 60_000,
    `within its drain time of 5 s, what the CLI takes to end, and 2 s for Redis: ${Math.round(tookMs)} ms`,
  )
  await hasty.drained
  for (const { id, name } of [untold, inTool])
    t.match(hasty.stderr(), new RegExp(`"executionIds":\\[[^\\]]*${id}.*could not be stored`), `it names ${name}`)
  await until(() => listMentioning(tag, 'cmdline').length === 0, 'nothing of them is left', 60_000)
  await redis.start()
  for (const execution of [untold, inTool])
    t.match(await scene.ended(execution), { status: 'failed', code: 'WORKER_LOST' }, execution.name)

  const patient = await scene.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '120' })
  const go = join(cluster.folder, 'go')
  const told = await scene.submit('told', [{ ticks: 10_000, everyMs: 50, until: go }, RESULT])
  await until(() => told.has('claude.message'), 'it runs')
  const ending = scene.end(patient, 'SIGTERM')
  await redis.end('SIGTERM')
  await sleep(random.between(500, 1_500))
  await redis.start()
  await writeFile(go, '')
  t.match(await scene.ended(told), { status: 'succeeded' }, 'Redis is back in time')
  t.equal((await ending).code, 0, 'and it ends well, too')
  await scene.hostWorker()
  await checkInvariants(t, scene)
}

/** One key, fifty requests at two APIs; and readers who come and go, stop reading, or vanish. */
export async function submitFiftyTimes(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'submitFiftyTimes', seed, env: { CC_EXECUTOR_LOCK_SECONDS: '30' } })
  const { random, cluster } = scene
  const [first] = await Promise.all([scene.hostApi(), scene.hostApi(), scene.hostWorker()])
  const [mark, go] = [join(cluster.folder, 'marks', 'once'), join(cluster.folder, 'go')]
  await writeFile(mark, '')
  const prompt = JSON.stringify([{ mark }, { ticks: 10_000, everyMs: 25, until: go }, RESULT])
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      cluster.insist(() =>
        cluster.call(random.pick(scene.apis), 'POST', '/execute', { prompt }, { 'idempotency-key': 'once' }),
      ),
    ),
  )
  const ids = new Set(answers.map(({ body }) => body.id))
  t.equal(ids.size, 1, 'one execution')
  // None says so where the one that did could not tell in time, and was asked again.
  t.ok(answers.filter(({ status }) => status === 202).length <= 1, 'one of them made it')
  t.ok(
    answers.every(
      ({ status, headers }) => status === 202 || (status === 200 && headers.get('idempotent-replayed') === 'true'),
    ),
    'the others are told so',
  )
  t.equal((await cluster.call(first, 'GET', '/executions')).body.executions.length, 1)
  const [id = ''] = ids
  const execution = scene.watch(id, 'once', mark)

  // Comes back a hundred times, for one event each, by any transport and at any API.
  const seen: Event[] = []
  const transports: Transport[] = ['websocket', 'sse', 'rest']
  const visit = async (): Promise<void> => {
    for await (const event of cluster.follow(random.pick(scene.apis), id, seen.length, random.pick(transports))) {
      seen.push(event)
      break
    }
  }
  // On a machine that is held up an API may answer that it does not reach Redis in time: it is asked again.
  for (let refusals = 0; seen.length < 100;)
    await visit().catch((error: unknown) => {
      if ((refusals += 1) > 100) throw error
    })
  await writeFile(go, '')
  t.match(await scene.ended(execution), { status: 'succeeded' })
  t.same(
    seen.map(({ seq }) => seq),
    Array.from({ length: 100 }, (_, index) => index + 1),
    'each event once',
  )
  await checkInvariants(t, scene)
}
