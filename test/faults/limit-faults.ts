import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import type { Event } from '../../src/protocol/events.js'
import { checkInvariants } from './invariants.js'
import { INIT, openScene, RESULT, type Api, type Scene, type Started, type Watched } from './scene.js'
import { once, until } from '../support/deadlines.js'

const MIB = 1024 * 1024
/** Stored: more than the kernel keeps for a socket, so that whoever does not read is behind. */
const [QUEUE, SUBSCRIPTIONS, STORED_BYTES, RAW_BYTES] = [2, 3, 16 * MIB, 40 * MIB]
const CONNECTIONS = 6
const TEXT_BYTES = 20_000
const textLine = (id: string): string =>
  `${JSON.stringify({ type: 'assistant', message: { id, content: [{ type: 'text', text: 'x'.repeat(TEXT_BYTES) }] } })}\n`

async function connect(
  t: Test,
  { cluster }: Scene,
  api: Api,
): Promise<{ socket: WebSocket; call(method: string, params: unknown): Promise<ReturnType<typeof JSON.parse>> }> {
  const token = (await readFile(join(cluster.folder, 'data', 'token'), 'utf8')).trim()
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
  t.teardown(() => Promise.resolve(socket.terminate()))
  const answers = new Map<number, (answer: unknown) => void>()
  let count = 0
  socket.on('message', (data: Buffer) => {
    const answer = JSON.parse(data.toString())
    answers.get(answer.id)?.(answer)
  })
  await once(socket, 'open')
  return {
    socket,
    call: (method, params) =>
      new Promise((resolve) => {
        count += 1
        answers.set(count, resolve)
        socket.send(JSON.stringify({ jsonrpc: '2.0', id: count, method, params }))
      }),
  }
}

/** Stops reading, is closed, and comes back by its cursor: each event once. */
async function readTooSlowly(t: Test, scene: Scene, api: Started<Api>, { id }: Watched): Promise<void> {
  const { socket, call } = await connect(t, scene, api)
  const seqs: number[] = []
  socket.on('message', (data: Buffer) => {
    const { method, params } = JSON.parse(data.toString())
    if (method !== 'execution.event') return
    seqs.push(params.event.seq)
    if (seqs.length === 1) socket.pause()
  })
  const closed = once(socket, 'close')
  await call('execution.subscribe', { executionId: id, after: 0 })
  await until(() => api.stderr().includes('accepted no data for too long'), 'it is given up')
  socket.resume()
  const [code] = await closed
  // Whether the reason still got through is the machine's matter: after two seconds nobody waits for that.
  t.ok(code === 1013 || code === 1006, `closed with ${code}`)
  const last = seqs.at(-1) ?? 0
  for await (const { seq } of scene.cluster.follow(api, id, last, 'websocket')) seqs.push(seq)
  const { lastSeq } = await scene.cluster.get(api, id)
  t.ok(last > 0 && last < lastSeq, `${last} of ${lastSeq} before it was closed`)
  t.same(
    seqs,
    Array.from({ length: lastSeq }, (_, index) => index + 1),
    'resumed by its cursor: each event once',
  )
}

/**
 * Every limit is reached, on real processes: each refusal says what and when to come again, and what was accepted is
 * not touched by it.
 */
export async function reachEveryLimit(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, {
    name: 'reachEveryLimit',
    seed,
    transports: ['sse', 'rest'],
    env: {
      CC_EXECUTOR_CONCURRENCY: '3',
      CC_EXECUTOR_MAX_QUEUE: String(QUEUE),
      CC_EXECUTOR_MAX_SUBSCRIPTIONS: String(SUBSCRIPTIONS),
      CC_EXECUTOR_MAX_CONNECTIONS: String(CONNECTIONS),
      CC_EXECUTOR_OUTPUT_LIMIT_BYTES: String(STORED_BYTES),
      CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES: String(RAW_BYTES),
      CC_EXECUTOR_LOCK_SECONDS: '20',
    },
  })
  const { cluster, random } = scene
  const [api, slow] = await Promise.all([
    scene.openApi(),
    scene.openApi({ CC_EXECUTOR_WRITE_DEADLINE_SECONDS: '1', LOG_LEVEL: 'info' }),
    scene.openWorker(),
  ])
  const go = join(cluster.folder, 'go')
  const wait = { ticks: 10_000, everyMs: 100, until: go }
  const running: Watched[] = []
  // One after the other: three at once are more than may wait.
  for (const which of [1, 2, 3]) {
    const execution = await scene.submit(`running ${which}`, [INIT, wait, RESULT])
    await until(() => execution.has('claude.message'), 'it has its place')
    running.push(execution)
  }

  const waiting = await Promise.all([1, 2].map((which) => scene.submit(`waiting ${which}`, [INIT, RESULT])))
  for (const server of [api, slow]) {
    const refused = await cluster.call(
      server,
      'POST',
      '/execute',
      { prompt: 'one too many' },
      { 'idempotency-key': 'too many' },
    )
    t.match(
      [refused.status, refused.body.code, refused.body.retryable, refused.headers.get('retry-after')],
      [429, 'QUEUE_FULL', true, /^[1-9]\d*$/],
      'the queue is full',
    )
  }
  const [first] = running
  if (!first) throw new Error('three run')
  const own = await connect(t, scene, api)
  t.match(
    await own.call('execute', { prompt: 'one too many' }),
    { error: { code: 42902, data: { code: 'QUEUE_FULL' } } },
    'over the WebSocket as well',
  )
  const { body: listed } = await cluster.call(api, 'GET', '/executions')
  t.equal(listed.executions.length, 5, 'nothing is left of what was refused')

  const subscribe = () => own.call('execution.subscribe', { executionId: first.id, after: 0 })
  const subscribed = []
  for (let count = 0; count < SUBSCRIPTIONS; count += 1) subscribed.push(await subscribe())
  t.match(await subscribe(), { error: { code: 42903, data: { code: 'SUBSCRIPTION_LIMIT' } } })
  t.match(await own.call('execution.unsubscribe', { subscriptionId: random.pick(subscribed).result.subscriptionId }), {
    result: {},
  })
  t.match(await subscribe(), { result: { status: 'running' } }, 'there is room again')

  const more = []
  for (let count = 1; count < CONNECTIONS; count += 1) more.push(await connect(t, scene, api))
  const tooMany = new WebSocket(`${api.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${(await readFile(join(cluster.folder, 'data', 'token'), 'utf8')).trim()}` },
  })
  tooMany.on('error', () => undefined)
  const [, response] = await once(tooMany, 'unexpected-response')
  t.match([response.statusCode, response.headers['retry-after']], [429, /^[1-9]\d*$/], 'one connection too many')
  response.destroy()
  more[0]?.socket.close()
  await once(more[0]?.socket ?? tooMany, 'close')
  await until(
    () =>
      connect(t, scene, api).then(
        () => true,
        () => false,
      ),
    'there is room for another',
  )

  await writeFile(go, '')
  for (const execution of [...running, ...waiting])
    t.match(await scene.ended(execution), { status: 'succeeded' }, `${execution.name} was not touched`)
  const again = await cluster.call(
    api,
    'POST',
    '/execute',
    { prompt: JSON.stringify([INIT, RESULT]) },
    { 'idempotency-key': 'too many' },
  )
  t.equal(again.status, 202, 'and what was refused is accepted when it comes again, with the same key')
  await cluster.finished(api, again.body.id)
  t.equal((await cluster.call(api, 'DELETE', `/executions/${again.body.id}`)).status, 204)

  const long = await scene.submit('more than is stored', [INIT, { repeat: textLine('m'), times: 1_200 }, RESULT])
  t.match(await scene.ended(long), { status: 'succeeded' }, 'the result behind it is taken')
  const cut = long.seen[0]?.find(({ type }) => type === 'log.truncated') as Event<'log.truncated'> | undefined
  t.match(cut?.data, { limit: STORED_BYTES, reason: 'stored' })
  t.ok((cut?.data.droppedBytes ?? 0) > 200 * TEXT_BYTES, 'and how much was left out is told')
  await readTooSlowly(t, scene, slow, long)
  const endless = await scene.submit('more than is read', [INIT, { repeat: textLine('m'), times: 3_000 }, RESULT])
  t.match(await scene.ended(endless), { status: 'failed', code: 'OUTPUT_LIMIT' })
  await checkInvariants(t, scene)
}
