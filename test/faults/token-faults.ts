import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { isWhole } from '../support/cluster.js'
import { INIT, openScene, RESULT, type Api, type Scene } from './scene.js'
import { until } from '../support/deadlines.js'

interface Token {
  readonly id: string
  readonly secret: string
}

/** Calls as the holder of a token that the API has made. */
function openHolder({ cluster }: Scene, { secret }: Token) {
  const headers = { authorization: `Bearer ${secret}` }
  const marks: string[] = []
  const ask = (api: Api, method: string, path: string, body?: unknown) =>
    cluster.insist(() => cluster.call(api, method, path, body, headers))
  return {
    ask,
    async submit(api: Api, name: string, until?: string): Promise<string> {
      const mark = join(cluster.folder, 'marks', name)
      await writeFile(mark, '')
      marks.push(mark)
      const steps = until === undefined ? [] : [{ ticks: 1e6, everyMs: 100, until }]
      const { status, body } = await ask(api, 'POST', '/execute', {
        prompt: JSON.stringify([{ mark }, INIT, ...steps, RESULT]),
      })
      if (status !== 202) throw new Error(`${name} was not accepted: ${status} ${JSON.stringify(body)}`)
      return body.id
    },
    get: async (api: Api, id: string): Promise<Execution> => (await ask(api, 'GET', `/executions/${id}`)).body,
    /** How often the CLI ran for each. */
    starts: () => marks.map((mark) => readFileSync(mark, 'utf8').split('\n').length - 1),
  }
}

/** From the start to the end of a run, as its log tells. */
function toSpan(log: readonly Event[]): readonly [start: string, end: string] | undefined {
  const started = log.find(({ type }) => type === 'execution.started')
  return started && [started.at, log.at(-1)?.at ?? '']
}

/**
 * Workers and APIs are killed around a token that may have one run at a time, and one that is revoked: the limit holds
 * and no place is lost, a revocation that was answered holds everywhere, and what was accepted before comes to its end.
 */
export async function killAroundTokens(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'killAroundTokens', seed, watchers: 1, transports: ['rest'] })
  const { cluster, random, redis } = scene
  const [first, doomed] = await Promise.all([scene.openApi(), scene.openWorker()])
  const make = async (name: string): Promise<Token> =>
    (await cluster.call(first, 'POST', '/tokens', { name, scopes: ['read', 'execute'], maxConcurrent: 1 })).body
  const [limited, revoked] = [await make('limited'), await make('revoked')]
  const [one, other] = [openHolder(scene, limited), openHolder(scene, revoked)]
  const go = join(cluster.folder, 'go')
  const ids = [await one.submit(first, 'lost', go), await one.submit(first, 'second'), await one.submit(first, 'third')]
  const accepted = [
    await other.submit(first, 'runs at the revocation', go),
    await other.submit(first, 'accepted before'),
  ]
  const counts = () => [...one.starts(), ...other.starts()]
  await until(() => counts()[0] === 1 && counts()[3] === 1, 'one of each runs')
  t.match(await one.get(first, ids[1] ?? ''), { status: 'queued', waitingFor: 'token' })

  // Redis has it perhaps, and whoever asked hears nothing of it.
  const stored = first.link.holdAnswersAfter(revoked.id)
  void cluster.call(first, 'DELETE', `/tokens/${revoked.id}`).catch(() => undefined)
  await stored
  await sleep(random.between(0, 200))
  await Promise.all([scene.end(first, 'SIGKILL'), scene.end(doomed, 'SIGKILL')])
  t.same(counts().slice(1, 3), [0, 0], 'nothing else of the limited token has run')

  const second = await scene.openApi()
  const { status } = await cluster.insist(() => cluster.call(second, 'DELETE', `/tokens/${revoked.id}`))
  t.ok([204, 404].includes(status), `it is revoked, now or before: ${status}`)
  const third = await scene.hostApi()
  for (const api of [second, third])
    t.match(await other.ask(api, 'POST', '/execute', { prompt: 'x' }), { status: 401 }, 'for every API')

  // Accepted in Redis, with no job, and its API dies.
  const queued = second.link.holdAnswersAfter('execution.queued')
  void one.submit(second, 'accepted as its API dies').catch(() => undefined)
  await queued
  await sleep(random.between(0, 200))
  await scene.end(second, 'SIGKILL')
  await writeFile(go, '')
  await scene.hostWorker()

  const listed = async (): Promise<Execution[]> => (await one.ask(third, 'GET', '/executions')).body.executions
  await until(async () => (await listed()).every((each) => isTerminal(each.status)), 'all have ended', 300_000)
  const all = await listed()
  t.ok(all.length === 3 || all.length === 4, `${all.length} of the limited token`)
  t.match(await one.get(third, ids[0] ?? ''), { status: 'failed', outcome: { code: 'WORKER_LOST' } })
  const spans = []
  for (const { id, status } of all) {
    if (id !== ids[0]) t.equal(status, 'succeeded', 'the place of the dead run was given on')
    const log: Event[] = (await one.ask(third, 'GET', `/executions/${id}/events?limit=1000`)).body.events
    isWhole(t, log)
    spans.push(...[toSpan(log)].filter((span) => span !== undefined))
  }
  spans.sort(([start], [next]) => (start < next ? -1 : 1))
  for (const [index, [start]] of spans.entries())
    t.ok(index === 0 || start >= (spans[index - 1]?.[1] ?? ''), 'one at a time, over all deaths')
  const stateOf = (id: string) => redis.admin.hget(`{cc}:execution:${id}`, 'state')
  await until(
    async () =>
      (await Promise.all(accepted.map(stateOf))).every((state) => isTerminal((state ?? 'queued') as 'queued')),
    'what the revoked token had submitted comes to its end',
    300_000,
  )
  t.same(await Promise.all(accepted.map(stateOf)), ['failed', 'succeeded'])
  t.ok(
    counts().every((count) => count <= 1),
    'each ran once at most',
  )
  for (const { id } of [limited, revoked]) t.equal(await redis.admin.scard(`{cc}:active:${id}`), 0, 'no place is lost')
  t.same(await redis.admin.keys('{cc}:line:*'), [], 'and nobody waits')
}
