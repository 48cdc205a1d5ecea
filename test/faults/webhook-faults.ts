import type { Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { accept, openReceiver, refuse } from '../webhooks/scene.js'
import { buildClock } from './faulty-redis.js'
import { INIT, openScene, RESULT } from './scene.js'
import { until } from '../support/deadlines.js'

const HOUR_S = 3_600

/**
 * APIs, workers and Redis die between ends and their deliveries, while the endpoint is down for an hour: each end is
 * told at least once, after its start, and never two of an execution at one time.
 */
export async function killAroundDelivery(t: Test, seed: string): Promise<void> {
  const clock = await buildClock(t)
  const receiver = await openReceiver(t)
  const scene = await openScene(t, {
    name: 'killAroundDelivery',
    seed,
    watchers: 1,
    transports: ['rest'],
    clock,
    env: { CC_EXECUTOR_WEBHOOK_HOSTS: receiver.host, CC_EXECUTOR_WEBHOOK_TIMEOUT_SECONDS: '1' },
  })
  const { cluster, random, redis } = scene
  const [first, victim] = await Promise.all([scene.openApi(), scene.openWorker(), scene.openWorker()])
  const made = await cluster.call(first, 'POST', '/webhooks', { url: `${receiver.url}/faults` })
  t.equal(made.status, 201)
  receiver.secrets.set('/faults', made.body.secret)
  const atWork = new Map<string, number>()
  const crowded: string[] = []
  let isDown = false
  receiver.answer = async (message, response) => {
    const id = String(message.payload.data.executionId)
    atWork.set(id, (atWork.get(id) ?? 0) + 1)
    if ((atWork.get(id) ?? 0) > 1) crowded.push(id)
    await sleep(random.between(0, 30))
    atWork.set(id, (atWork.get(id) ?? 0) - 1)
    const answer = isDown ? refuse(503) : accept
    await answer(message, response)
  }
  const submit = (name: string) => scene.submit(name, [INIT, RESULT])

  const early = await Promise.all([1, 2, 3, 4].map((which) => submit(`early ${which}`)))
  await sleep(random.between(0, 500))
  await scene.end(first, 'SIGKILL')
  const second = await scene.openApi()
  await scene.end(victim, 'SIGKILL')
  isDown = true
  const late = await Promise.all([1, 2, 3, 4].map((which) => submit(`late ${which}`)))
  await sleep(random.between(0, 1_000))
  await redis.end('SIGKILL')
  await redis.start()
  for (const execution of [...early, ...late]) await scene.ended(execution)
  // Whatever is on its way has been refused by now, or is with the dead.
  if (clock !== undefined) redis.setClock(HOUR_S)
  await scene.end(second, 'SIGKILL')
  await scene.openApi()
  isDown = false
  if (clock !== undefined) redis.setClock(2 * HOUR_S)
  const told = (id: string): string[] =>
    receiver.messages.filter(({ payload }) => payload.data.executionId === id).map(({ payload }) => payload.type)
  const pending = async (): Promise<number> => await redis.admin.zcard(`{cc}:webhook-lines:${made.body.id}`)
  await until(async () => (await pending()) === 0 && (await redis.admin.xlen('{cc}:outbox')) === 0, 'all is delivered')
  for (const { id, name } of [...early, ...late]) {
    t.ok(told(id).includes('execution.finished'), `${name}: its end was told`)
    const [beginning, end] = [told(id).indexOf('execution.started'), told(id).indexOf('execution.finished')]
    t.ok(beginning < end, `${name}: not before its start`)
  }
  t.same([crowded, receiver.wrong], [[], []])
}
