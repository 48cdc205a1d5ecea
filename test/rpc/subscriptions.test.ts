// Subscriptions on /ws: order, resuming, limits, slow readers.
import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { createFrameWriter, type FrameWriter } from '../../src/rpc/frame-writer.js'
import { shortenEvent } from '../../src/rpc/shorten-event.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { delta, isClosed, openHarness, openRpc, request, seqOf, type Client, type Message } from './harness.js'
import { once, repeat, turns, until } from '../support/deadlines.js'

const UNKNOWN = '00000000-0000-7000-8000-000000000000'

/** Everything that comes up to the end of the subscription: its seqs and why it ended. */
async function readSeqs(client: Client): Promise<{ seqs: number[]; reason: unknown }> {
  const seqs: number[] = []
  return repeat(async () => {
    const message = await client.next()
    if (isClosed(message)) return { seqs, reason: message.params?.['reason'] }
    if (message.method === 'execution.event') seqs.push(seqOf(message))
    return undefined
  }, 'the subscription is closed')
}

void t.test('whoever is cut off at any seq and resumes by after sees every event once', async (t) => {
  const harness = await openRpc(t)
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const total = 40
  for (let index = 0; index < total - 3; index += 5)
    await run.write(...Array.from({ length: Math.min(5, total - 3 - index) }, (_, n) => delta(`${index + n}`)))
  await run.finish()
  for (let at = 0; at <= total; at += 1) {
    const seqs: number[] = []
    const first = await harness.connect()
    first.send(request(1, 'execution.subscribe', { executionId }))
    t.match(await first.next(), { result: { lastSeq: total } })
    for (const message of await first.take(at)) seqs.push(seqOf(message))
    first.socket.terminate()
    const second = await harness.connect()
    second.send(request(1, 'execution.subscribe', { executionId, after: at }))
    const rest = await readSeqs(second)
    t.same(
      [...seqs, ...rest.seqs],
      Array.from({ length: total }, (_, index) => index + 1),
      `cut after ${at}`,
    )
    t.equal(rest.reason, 'finished')
    second.socket.terminate()
  }
})

void t.test('a subscription in mid-run joins past and future', async (t) => {
  const harness = await openRpc(t)
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const client = await harness.connect()
  await run.write(delta('a'), delta('b'))
  client.send(request(1, 'execution.subscribe', { executionId, after: 3 }))
  await client.take(2)
  for (let index = 0; index < 50; index += 1) await run.write(delta(String(index)))
  await run.finish()
  t.same(
    (await readSeqs(client)).seqs,
    Array.from({ length: 51 }, (_, index) => index + 5),
  )
})

void t.test('a cursor beyond the end, types, and a deletion', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  await run.write(delta('a'), { type: 'output', data: { stream: 'stderr', data: 'b' } })
  await client.call('execution.subscribe', { executionId, types: ['output'] })
  await run.finish()
  t.same(
    await readSeqs(client),
    { seqs: [4], reason: 'finished' },
    'the terminal event ends it, also where it is not wanted',
  )
  await client.call('execution.subscribe', { executionId, after: 99 })
  t.same(await readSeqs(client), { seqs: [], reason: 'finished' })
  const doomed = await harness.submit()
  await client.call('execution.subscribe', { executionId: doomed, after: 1 })
  const { services } = harness
  await services.store.concludeQueued(doomed, {
    outcome: { status: 'cancelled' },
    usage: NO_USAGE,
    finishedAt: new Date(),
    attempt: 0,
  })
  await client.until(isClosed)
  const gone = await harness.submit()
  await client.call('execution.subscribe', { executionId: gone, after: 1 })
  await client.call('execution.get', { executionId: gone })
  // As an expiry takes a log away.
  const { redis } = services
  await redis.del(...(await redis.keys(`*${gone}*`)))
  t.equal((await client.until(isClosed)).params?.['reason'], 'deleted')
})

void t.test('after an unsubscribe comes its answer, then the word that it is closed, and no event', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const { result } = await client.call('execution.subscribe', { executionId, after: 2 })
  const subscriptionId = result?.['subscriptionId']
  client.send(request(5, 'execution.unsubscribe', { subscriptionId }))
  t.match(await client.take(2), [
    { id: 5, result: {} },
    { method: 'subscription.closed', params: { subscriptionId, executionId: String, reason: 'unsubscribed' } },
  ])
  await run.write(delta('not seen'))
  await run.finish()
  t.match(await client.call('execution.unsubscribe', { subscriptionId }), { error: { code: 40402 } })
  t.same(client.inbox, [])
})

void t.test('the limit of subscriptions is found before anything is submitted, and an end makes room', async (t) => {
  const harness = await openRpc(t, { CC_EXECUTOR_MAX_SUBSCRIPTIONS: '1' })
  const client = await harness.connect()
  t.match(
    await client.call('execution.subscribe', { executionId: UNKNOWN }),
    { error: { code: 40401 } },
    'a refused one takes no place',
  )
  const { result } = await client.call('execute', { prompt: 'x' })
  t.match(await client.call('execute', { prompt: 'y' }), {
    error: { code: 42903, data: { code: 'SUBSCRIPTION_LIMIT' } },
  })
  t.match(await client.call('execution.list'), { result: { executions: { length: 1 } } })
  client.send(
    [1, 2, 3].map((id) => request(id, 'execution.unsubscribe', { subscriptionId: result?.['subscriptionId'] })),
  )
  await client.until(isClosed)
  client.send([1, 2].map((id) => request(id, 'execute', { prompt: 'z' })))
  const both = (await client.next()) as unknown as Message[]
  t.equal(both.filter(({ error }) => error?.code === 42903).length, 1, 'of two at once only one gets the place')
})

void t.test('a thousand subscriptions on one connection all get all', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  let subscribed = 0
  for (let batch = 0; batch < 10; batch += 1) {
    client.send(Array.from({ length: 100 }, (_, id) => request(id, 'execution.subscribe', { executionId, after: 1 })))
    // A batch's answer is an array.
    subscribed += ((await client.next()) as unknown as Message[]).filter(({ result }) => result).length
  }
  t.equal(subscribed, 1_000)
  t.match(await client.call('execution.subscribe', { executionId }), { error: { code: 42903 } })
  const run = await harness.start(executionId)
  await run.write(...Array.from({ length: 20 }, (_, index) => delta(`${index}`)))
  await run.finish()
  const seen = new Map<unknown, number[]>()
  for (let left = 1_000; left > 0;) {
    const message = await client.next()
    if (isClosed(message)) left -= 1
    else
      seen.set(message.params?.['subscriptionId'], [
        ...(seen.get(message.params?.['subscriptionId']) ?? []),
        seqOf(message),
      ])
  }
  const whole = Array.from({ length: 22 }, (_, index) => index + 2).join()
  t.equal([...seen.values()].filter((seqs) => seqs.join() === whole).length, 1_000)
})

void t.test('a reader that stops delays only itself, is closed with 1013, and resumes by after', async (t) => {
  // Of a machine that is held up for as long as the deadline, the quick one has taken nothing either.
  const { harness, executionId, held, seqs, seen } = await withLongerClocks(2, (seconds) => stopReading(t, seconds))
  t.equal(seqs.length, 203, 'the other one has everything')
  t.ok(held < 512 * 1024, 'what waits stays in Redis')
  const again = await harness.connect()
  again.send(request(1, 'execution.subscribe', { executionId, after: seen.at(-1) }))
  t.same(
    [...seen, ...(await readSeqs(again)).seqs],
    Array.from({ length: 203 }, (_, index) => index + 1),
  )
})

/** Two readers, one of which stops; undefined where the other one was given up too, or the close came too late. */
async function stopReading(t: Test, seconds: number) {
  const harness = await openRpc(t, { CC_EXECUTOR_WRITE_DEADLINE_SECONDS: String(seconds) })
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const [slow, quick] = [await harness.connect(), await harness.connect()]
  const [serverSide] = harness.server.clients
  for (const client of [slow, quick]) await client.call('execution.subscribe', { executionId })
  slow.socket.pause()
  // It looks up as soon as it is given up: a close frame is there for a moment only.
  let held = 0
  const givenUp = new Promise<void>((resolve) =>
    waitForClosing(serverSide, () => {
      held = serverSide?.bufferedAmount ?? 0
      slow.socket.resume()
      resolve()
    }),
  )
  const text = 'x'.repeat(100_000)
  for (let index = 0; index < 200; index += 1) await run.write(delta(text))
  await run.finish()
  const seqs = await readSeqs(quick).then(
    (read) => read.seqs,
    () => undefined,
  )
  await givenUp
  if ((await slow.closed) !== 1013 || seqs === undefined) return undefined
  const seen = slow.inbox.filter(({ method }) => method === 'execution.event').map(seqOf)
  return { harness, executionId, held, seqs, seen }
}

/** ws has no event for the beginning of a close. */
function waitForClosing(socket: { readyState: number; OPEN: number } | undefined, done: () => void): void {
  if (socket?.readyState === socket?.OPEN) setTimeout(() => waitForClosing(socket, done), 10)
  else done()
}

/** The writer of a connection by itself. */
async function openWriter(t: Test) {
  const opened: Array<{ writer: FrameWriter; socket: WebSocket }> = []
  const harness = await openHarness(t, (socket, transport) => {
    const writer = createFrameWriter({ socket, transport, writeDeadlineMs: 60_000, onTooSlow: () => undefined })
    opened.push({ writer, socket })
    return { close: () => writer.close() }
  })
  const client = await harness.connect()
  const [server] = opened
  if (!server) throw new Error('not connected')
  return { client, ...server }
}

void t.test('a frame that cannot be built fails its own writer and no other', { timeout: 600_000 }, async (t) => {
  const { client, writer } = await openWriter(t)
  function* broken(): Generator<string> {
    for (let count = 0; count < 200; count += 1) yield JSON.stringify({ method: 'x'.repeat(100_000) })
    throw new Error('cannot be built')
  }
  client.socket.pause()
  const written = writer.write(broken())
  const next = writer.write(['{"method":"next"}'])
  client.socket.resume()
  await t.rejects(written, /cannot be built/)
  await next
  await client.until(({ method }) => method === 'next')
})

void t.test('pongs that fill a socket hold up nothing beyond their own time', { timeout: 600_000 }, async (t) => {
  const { client, writer, socket } = await openWriter(t)
  client.socket.pause()
  // Almost full, and no frame so far that waits to be told of its end.
  for (const [size, enough] of [
    [32_000, 1],
    [1_000, 259_000],
  ] as const) {
    await repeat(async () => {
      if (socket.bufferedAmount >= enough) return true
      await writer.write([JSON.stringify({ method: 'x'.repeat(size) })])
      await new Promise((resolve) => setImmediate(resolve))
      return undefined
    }, 'the socket is almost full')
  }
  await turns(() => {
    if (socket.bufferedAmount >= 262_144) return true
    client.socket.ping('p'.repeat(125))
    return false
  }, 'the socket is full')
  const written = writer.write(['{"method":"last"}'])
  client.socket.resume()
  await written
  await client.until(({ method }) => method === 'last')
})

void t.test('a reader that never comes back is cut off', async (t) => {
  const harness = await openRpc(t, { CC_EXECUTOR_WRITE_DEADLINE_SECONDS: '0.2' })
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const client = await harness.connect()
  await client.call('execution.subscribe', { executionId })
  const [serverSide] = harness.server.clients
  client.socket.pause()
  const gone = serverSide && once(serverSide, 'close')
  for (let index = 0; index < 200; index += 1) await run.write(delta('x'.repeat(100_000)))
  await gone
  t.equal(harness.server.clients.size, 0)
})

void t.test('a large event is shortened within the limit and says by how much', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  await run.write(delta('\u{1F600}'.repeat(50_000)))
  await client.call('execution.subscribe', { executionId, after: 2, maxEventBytes: 1_000 })
  const { params } = await client.next()
  t.match(params, {
    event: {
      seq: 3,
      type: 'text.delta',
      attempt: 1,
      data: { message: 0, text: /^(\u{1F600})+…$/u },
      truncatedBytes: Number,
    },
  })
  t.ok(Buffer.byteLength(JSON.stringify(params?.['event'])) <= 1_000)
  const other = await harness.connect()
  const { result } = await other.call('execute', { prompt: '\u{1F600}'.repeat(5_000), maxEventBytes: 1_000 })
  t.match(await other.next(), {
    params: { subscriptionId: result?.['subscriptionId'], event: { seq: 1, type: 'execution.queued' } },
  })
  const own = await harness.start(String(result?.['id']))
  await own.write(delta('\u{1F600}'.repeat(50_000)))
  await repeat(async () => {
    const { params: sent } = await other.next()
    const event = sent?.['event'] as { type: string; truncatedBytes?: number }
    t.ok(Buffer.byteLength(JSON.stringify(event)) <= 1_000, `${event.type} of an execution of its own`)
    if (event.type !== 'text.delta') return undefined
    return t.type(event.truncatedBytes, 'number')
  }, 'its text comes')
  const wide = Buffer.from(
    JSON.stringify({
      seq: 1,
      type: 'x',
      at: 'now',
      attempt: 1,
      data: { list: Array.from({ length: 9_999 }, (_, index) => ({ index })) },
    }),
  )
  for (const limit of [256, 512, 4_096]) {
    const short = shortenEvent(wide, limit)
    t.ok(short.length <= limit)
    const { truncatedBytes, ...kept } = JSON.parse(short.toString()) as { truncatedBytes: number }
    t.equal(truncatedBytes + Buffer.byteLength(JSON.stringify(kept)), wide.length)
  }
})

void t.test('a connection that is closed leaves nobody following', async (t) => {
  const harness = await openRpc(t)
  const executionId = await harness.submit()
  const client = await harness.connect()
  await client.call('execution.subscribe', { executionId })
  await client.next()
  harness.connections[0]?.close(1001, 'going away')
  t.equal(await client.closed, 1001)
  const { redis } = harness.services
  const count = async () => (await redis.pubsub('NUMSUB', harness.services.log.channelOf(executionId)))[1]
  await until(async () => (await count()) === 0, 'the channel has no subscriber')
  t.pass('nobody follows')
})
