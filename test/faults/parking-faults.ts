import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT, type Scene, type Watched } from './scene.js'
import { until } from '../support/deadlines.js'

const SPEND = { spend: 0.5 }
const PAUSES = { maxBudgetUsd: 0.1, onBudgetExceeded: 'pause' }

const raise = (scene: Scene, { id }: Watched, api: Parameters<Scene['cluster']['call']>[0]) =>
  scene.cluster.call(api, 'PUT', `/executions/${id}/budget`, { maxBudgetUsd: 9 })

/**
 * Workers and APIs are killed around parking and unparking: as it is stored, while it lasts, as somebody lets it go on,
 * and as the next attempt begins.
 */
export async function killAroundParking(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, { name: 'killAroundParking', seed, watchers: 1, transports: ['sse', 'rest'] })
  const { random, cluster } = scene
  const [first, victim] = await Promise.all([scene.openApi(), scene.openWorker()])
  const submit = (name: string): Promise<Watched> => scene.submit(name, [INIT, SPEND, RESULT], PAUSES)
  const parked = await Promise.all(['raised', 'raised as its API dies', 'cancelled'].map(submit))
  await until(() => parked.every((execution) => execution.has('execution.parked')), 'they are parked')

  // Redis takes the one, and its worker never hears of it.
  const stored = victim.link.holdAnswersAfter('execution.parked')
  const unheard = await submit('parked as its worker dies')
  await stored
  await sleep(random.between(0, 200))
  await Promise.all([scene.end(victim, 'SIGKILL'), scene.end(first, 'SIGKILL')])

  const second = await scene.openApi()
  const all = [...parked, unheard]
  for (const { id, name } of all) t.match(await cluster.get(second, id), { status: 'waiting_budget' }, name)
  const [raised, lost, cancelled] = parked
  if (!raised || !lost || !cancelled) throw new Error('there are three')
  for (const execution of random.shuffle([raised, unheard]))
    t.equal((await raise(scene, execution, second)).status, 200)
  await cluster.call(second, 'POST', `/executions/${cancelled.id}/cancel`)
  // Redis takes it, and nobody makes the job.
  const unparked = second.link.holdAnswersAfter('execution.unparked')
  void raise(scene, lost, second).catch(() => undefined)
  await unparked
  await scene.end(second, 'SIGKILL')

  // A worker that dies as the next attempts begin: those that it has started are lost, as any other run is.
  await scene.hostApi()
  const doomed = await scene.openWorker()
  await sleep(random.between(0, 1_500))
  await scene.end(doomed, 'SIGKILL')
  await scene.hostWorker()
  for (const execution of [raised, unheard, lost]) {
    const { status, code } = await scene.ended(execution)
    t.ok(status === 'succeeded' || code === 'WORKER_LOST', `${execution.name}: ${status} ${code}`)
  }
  t.match(await scene.ended(cancelled), { status: 'cancelled' })
  await checkInvariants(t, scene)
}
