// JSON-RPC 2.0 over /ws: the specification's own examples, subscriptions, slow readers.
import { once } from 'node:events'
import { Ajv } from 'ajv'
import metaSchema from '@open-rpc/meta-schema'
import t, { type Test } from 'tap'
import type { Caller } from '../../src/executions/services.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import { buildOpenRpcDocument } from '../../src/rpc/open-rpc-document.js'
import { openRpcConnection } from '../../src/rpc/rpc-connection.js'
import { shortenEvent } from '../../src/rpc/shorten-event.js'
import { startHeartbeat } from '../../src/rpc/heartbeat.js'
import { CALLER, delta, openHarness, statusOf, type Client, type Harness, type Message } from './harness.js'

const HEALTH = { status: 'ok', service: 'cc-executor', version: '0', uptimeSeconds: 1, simulated: true } as const
const UNKNOWN = '00000000-0000-7000-8000-000000000000'

function open(t: Test, environment: Record<string, string> = {}, caller: Caller = CALLER): Promise<Harness> {
  return openHarness(
    t,
    (socket, transport, services) =>
      openRpcConnection({
        socket, transport, services, caller, requestId: 'c',
        queue: () => Promise.reject(new Error('a secret of ours')),
        health: () => HEALTH,
        discover: () => buildOpenRpcDocument('1.2.3'),
      }),
    environment,
  )
}

const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) })
const seqOf = ({ params }: Message): number => (params?.['event'] as { seq: number } | undefined)?.seq ?? 0
const isClosed = ({ method }: Message): boolean => method === 'subscription.closed'

/** Everything that comes up to the end of the subscription: its seqs and why it ended. */
async function readSeqs(client: Client): Promise<{ seqs: number[]; reason: unknown }> {
  const seqs: number[] = []
  for (;;) {
    const message = await client.next()
    if (isClosed(message)) return { seqs, reason: message.params?.['reason'] }
    if (message.method === 'execution.event') seqs.push(seqOf(message))
  }
}

void t.test("the specification's examples", async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const says = async (sent: unknown, expected: unknown, what: string) => {
    client.send(sent)
    t.match(await client.next(), expected, what)
  }
  await says(request(1, 'health.get'), { jsonrpc: '2.0', id: 1, result: HEALTH }, 'params may be missing')
  await says(request('one', 'health.get', {}), { id: 'one', result: HEALTH }, 'a string as id')
  await says(request(null, 'health.get', {}), { id: null, result: HEALTH }, 'null as id is a request')
  await says(request(0, 'health.get', {}), { id: 0 }, '0 as id is a request')
  await says(request(1, 'health.get', [42, 23]), { id: 1, error: { code: -32602, message: /by name/, data: { code: 'INVALID_REQUEST', errors: [{ path: 'params' }] } } }, 'params by position')
  await says(request('1', 'foobar'), { jsonrpc: '2.0', id: '1', error: { code: -32601, data: { code: 'METHOD_NOT_FOUND', retryable: false, requestId: /^c-/ } } }, 'a method that is not there')
  await says('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', { id: null, error: { code: -32700 } }, 'invalid JSON')
  await says('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', { id: null, error: { code: -32600 } }, 'an invalid request')
  await says({ jsonrpc: '2.0', method: 1, id: 7 }, { id: 7, error: { code: -32600 } }, 'its id, where it is valid')
  await says({ jsonrpc: '2.0', method: 'health.get', id: {} }, { id: null, error: { code: -32600 } }, 'an id of a wrong type')
  await says({ jsonrpc: '1.0', method: 'health.get', id: 8 }, { id: 8, error: { code: -32600 } }, 'another version')
  await says(request(9, 'health.get', 'bar'), { id: 9, error: { code: -32600 } }, 'params that are neither object nor array')
  await says('[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"]', { id: null, error: { code: -32700 } }, 'a batch with invalid JSON')
  await says('[]', { id: null, error: { code: -32600 } }, 'an empty batch')
  await says('[1]', [{ id: null, error: { code: -32600 } }], 'an invalid batch that is not empty')
  await says('[1,2,3]', [-32600, -32600, -32600].map(code => ({ id: null, error: { code } })), 'an invalid batch')
  await says(Array.from({ length: 1_001 }, () => 1), { id: null, error: { code: -32600, message: /1000/ } }, 'a batch that is too long')
  client.send([request('1', 'health.get'), { jsonrpc: '2.0', method: 'notify_hello', params: [7] }, { foo: 'boo' }, request('5', 'foo.get', { name: 'myself' }), request('9', 'rpc.discover')])
  const batch = (await client.next()) as unknown as Message[]
  t.same(batch.map(({ id }) => id).sort(), ['1', '5', '9', null], 'a batch is answered in one array, notifications left out')
  client.send([{ jsonrpc: '2.0', method: 'notify_sum', params: [1] }, { jsonrpc: '2.0', method: 'execution.get', params: {} }])
  client.send({ jsonrpc: '2.0', method: 'foobar' })
  await says(request(10, 'health.get'), { id: 10 }, 'notifications are not answered, not even with an error')
  client.socket.send(Buffer.from('{}'), { binary: true })
  t.equal(await client.closed, 1003, 'binary frames are refused')
})

void t.test('errors say which field is wrong, and nothing of ours', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  t.match(await client.call('execute', { promt: 'x' }), { error: { code: -32602, data: { code: 'INVALID_REQUEST', errors: [{ path: 'promt', message: 'unknown field' }] } } })
  t.match(await client.call('execution.get', { executionId: UNKNOWN }), { error: { code: 40401, data: { code: 'EXECUTION_NOT_FOUND', retryable: false } } })
  t.match(await client.call('execution.unsubscribe', { subscriptionId: 'sub-9' }), { error: { code: 40402 } })
  t.match(await client.call('execute', { command: 'rm -rf /' }), { error: { code: 40001, data: { code: 'COMMAND_NOT_ALLOWED' } } })
  const failed = await client.call('queue.get')
  t.match(failed, { error: { code: -32603, data: { code: 'INTERNAL' } } })
  t.notMatch(JSON.stringify(failed), /secret/)
})

void t.test('a token without the scope is refused by the scope’s name; admin includes all', async t => {
  const reader = await (await open(t, {}, { name: 'reader', scopes: new Set(['read']) })).connect()
  t.match(await reader.call('execute', { prompt: 'x' }), { error: { code: 40301, message: /execute scope/ } })
  t.match(await reader.call('execution.cancel', { executionId: UNKNOWN }), { error: { code: 40301 } })
  t.match(await reader.call('execution.list'), { result: { executions: [], nextCursor: null } })
  const admin = await (await open(t, {}, { name: 'admin', scopes: new Set(['admin']) })).connect()
  t.match(await admin.call('execute', { prompt: 'x', subscribe: false }), { result: { status: 'queued' } })
})

void t.test('execute answers before its first event, tells all to the end, and then that nothing follows', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  client.send(request(1, 'execute', { prompt: 'hello', metadata: { team: 'docs' } }))
  const answer = await client.next()
  t.match(answer, { id: 1, result: { status: 'queued', metadata: { team: 'docs' }, subscriptionId: String } })
  const executionId = String(answer.result?.['id'])
  const run = await harness.start(executionId)
  await run.write(delta('grüße \u{1F600}'))
  await run.finish()
  const events = await client.take(4)
  t.match(events.map(({ params }) => params), [
    { executionId, subscriptionId: answer.result?.['subscriptionId'], event: { seq: 1, type: 'execution.queued' } },
    { event: { seq: 2, type: 'execution.started' } }, { event: { seq: 3, data: { text: 'grüße \u{1F600}' } } }, { event: { seq: 4, type: 'execution.finished' } },
  ])
  t.match(await client.next(), { method: 'subscription.closed', params: { subscriptionId: answer.result?.['subscriptionId'], reason: 'finished' } })
  t.match(await client.call('execution.get', { executionId }), { result: { status: 'succeeded', outcome: { result: 'done' } } })
  t.match(await client.call('execution.cancel', { executionId }), { result: { status: 'succeeded' } }, 'cancelling what has finished changes nothing')
  t.match(await client.call('execution.pause', { executionId }), { error: { code: 40901 } })
})

void t.test('in a batch the events come after the answer of the batch', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  client.send([request(1, 'execute', { prompt: 'a' }), request(2, 'execution.list')])
  t.ok(Array.isArray(await client.next()))
  t.match(await client.next(), { method: 'execution.event', params: { event: { seq: 1 } } })
})

void t.test('a notification is carried out', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  client.send({ jsonrpc: '2.0', method: 'execution.cancel', params: { executionId } })
  t.match(await client.call('execution.subscribe', { executionId, types: ['execution.finished'] }), { result: { subscriptionId: String } })
  await client.until(isClosed)
  t.equal(await statusOf(harness, executionId), 'cancelled')
})

void t.test('an idempotency key gives the same execution again', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const first = await client.call('execute', { prompt: 'x', idempotencyKey: 'k', subscribe: false })
  const again = await client.call('execute', { prompt: 'x', idempotencyKey: 'k', subscribe: false })
  t.equal(again.result?.['id'], first.result?.['id'])
  t.match(await client.call('execute', { prompt: 'y', idempotencyKey: 'k' }), { error: { code: 42201 } })
})

void t.test('whoever is cut off at any seq and resumes by after sees every event once', async t => {
  const harness = await open(t)
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const total = 40
  for (let index = 0; index < total - 3; index += 5) await run.write(...Array.from({ length: Math.min(5, total - 3 - index) }, (_, n) => delta(`${index + n}`)))
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
    t.same([...seqs, ...rest.seqs], Array.from({ length: total }, (_, index) => index + 1), `cut after ${at}`)
    t.equal(rest.reason, 'finished')
    second.socket.terminate()
  }
})

void t.test('a subscription in mid-run joins past and future', async t => {
  const harness = await open(t)
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const client = await harness.connect()
  await run.write(delta('a'), delta('b'))
  client.send(request(1, 'execution.subscribe', { executionId, after: 3 }))
  await client.take(2)
  for (let index = 0; index < 50; index += 1) await run.write(delta(String(index)))
  await run.finish()
  t.same((await readSeqs(client)).seqs, Array.from({ length: 51 }, (_, index) => index + 5))
})

void t.test('a cursor beyond the end, types, and a deletion', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  await run.write(delta('a'), { type: 'output', data: { stream: 'stderr', data: 'b' } })
  await client.call('execution.subscribe', { executionId, types: ['output'] })
  await run.finish()
  t.same(await readSeqs(client), { seqs: [4], reason: 'finished' }, 'the terminal event ends it, also where it is not wanted')
  await client.call('execution.subscribe', { executionId, after: 99 })
  t.same(await readSeqs(client), { seqs: [], reason: 'finished' })
  const doomed = await harness.submit()
  await client.call('execution.subscribe', { executionId: doomed, after: 1 })
  const { services } = harness
  await services.store.concludeQueued(doomed, { outcome: { status: 'cancelled' }, usage: NO_USAGE, finishedAt: new Date(), attempt: 0 })
  await client.until(isClosed)
  const gone = await harness.submit()
  await client.call('execution.subscribe', { executionId: gone, after: 1 })
  await client.call('execution.get', { executionId: gone })
  // As an expiry takes a log away.
  const { redis } = services
  await redis.del(...(await redis.keys(`*${gone}*`)))
  t.equal((await client.until(isClosed)).params?.['reason'], 'deleted')
})

void t.test('after an unsubscribe comes its answer, then the word that it is closed, and no event', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const { result } = await client.call('execution.subscribe', { executionId, after: 2 })
  const subscriptionId = result?.['subscriptionId']
  client.send(request(5, 'execution.unsubscribe', { subscriptionId }))
  t.match(await client.take(2), [{ id: 5, result: {} }, { method: 'subscription.closed', params: { subscriptionId, reason: 'unsubscribed' } }])
  await run.write(delta('not seen'))
  await run.finish()
  t.match(await client.call('execution.unsubscribe', { subscriptionId }), { error: { code: 40402 } })
  t.same(client.inbox, [])
})

void t.test('the limit of subscriptions is found before anything is submitted, and an end makes room', async t => {
  const harness = await open(t, { CC_EXECUTOR_MAX_SUBSCRIPTIONS: '1' })
  const client = await harness.connect()
  t.match(await client.call('execution.subscribe', { executionId: UNKNOWN }), { error: { code: 40401 } }, 'a refused one takes no place')
  const { result } = await client.call('execute', { prompt: 'x' })
  t.match(await client.call('execute', { prompt: 'y' }), { error: { code: 42903, data: { code: 'SUBSCRIPTION_LIMIT' } } })
  t.match(await client.call('execution.list'), { result: { executions: { length: 1 } } })
  client.send([1, 2, 3].map(id => request(id, 'execution.unsubscribe', { subscriptionId: result?.['subscriptionId'] })))
  await client.until(isClosed)
  client.send([1, 2].map(id => request(id, 'execute', { prompt: 'z' })))
  const both = (await client.next()) as unknown as Message[]
  t.equal(both.filter(({ error }) => error?.code === 42903).length, 1, 'of two at once only one gets the place')
})

void t.test('a thousand subscriptions on one connection all get all', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  client.send(Array.from({ length: 1_000 }, (_, id) => request(id, 'execution.subscribe', { executionId })))
  t.equal(((await client.next()) as unknown as Message[]).filter(({ result }) => result).length, 1_000)
  t.match(await client.call('execution.subscribe', { executionId }), { error: { code: 42903 } })
  const run = await harness.start(executionId)
  await run.write(...Array.from({ length: 20 }, (_, index) => delta(`${index}`)))
  await run.finish()
  const seen = new Map<unknown, number[]>()
  for (let left = 1_000; left > 0; ) {
    const message = await client.next()
    if (isClosed(message)) left -= 1
    else seen.set(message.params?.['subscriptionId'], [...(seen.get(message.params?.['subscriptionId']) ?? []), seqOf(message)])
  }
  const whole = Array.from({ length: 23 }, (_, index) => index + 1).join()
  t.equal([...seen.values()].filter(seqs => seqs.join() === whole).length, 1_000)
})

void t.test('a reader that stops delays only itself, is closed with 1013, and resumes by after', async t => {
  const harness = await open(t, { CC_EXECUTOR_WRITE_DEADLINE_SECONDS: '0.4' })
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  const [slow, quick] = [await harness.connect(), await harness.connect()]
  const [serverSide] = harness.server.clients
  for (const client of [slow, quick]) await client.call('execution.subscribe', { executionId })
  slow.socket.pause()
  const text = 'x'.repeat(100_000)
  for (let index = 0; index < 200; index += 1) await run.write(delta(text))
  await run.finish()
  t.equal((await readSeqs(quick)).seqs.length, 203, 'the other one has everything')
  t.ok((serverSide?.bufferedAmount ?? 0) < 512 * 1024, 'what waits stays in Redis')
  await new Promise<void>(resolve => waitForClosing(serverSide, resolve))
  slow.socket.resume()
  t.equal(await slow.closed, 1013)
  const seen = slow.inbox.filter(({ method }) => method === 'execution.event').map(seqOf)
  const again = await harness.connect()
  again.send(request(1, 'execution.subscribe', { executionId, after: seen.at(-1) }))
  t.same([...seen, ...(await readSeqs(again)).seqs], Array.from({ length: 203 }, (_, index) => index + 1))
})

/** ws has no event for the beginning of a close. */
function waitForClosing(socket: { readyState: number; OPEN: number } | undefined, done: () => void): void {
  if (socket?.readyState === socket?.OPEN) setTimeout(() => waitForClosing(socket, done), 10)
  else done()
}

void t.test('a reader that never comes back is cut off', async t => {
  const harness = await open(t, { CC_EXECUTOR_WRITE_DEADLINE_SECONDS: '0.2' })
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

void t.test('whoever answers no ping is cut off, but not while it is behind', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const [serverSide] = harness.server.clients
  if (!serverSide) throw new Error('not connected')
  let pings = 0
  client.socket.on('ping', () => (pings += 1))
  let checks = 0
  let isBehind = false
  const beat = startHeartbeat({ socket: serverSide, isBehind: () => (checks += 1, isBehind), intervalMs: 20, limitMs: 100 })
  while (pings < 20) await once(client.socket, 'ping')
  t.equal(serverSide.readyState, serverSide.OPEN, 'pongs keep it alive, without a word of the application')
  isBehind = true
  client.socket.pause()
  for (const enough = checks + 10; checks < enough; ) await new Promise(resolve => setImmediate(resolve))
  t.equal(serverSide.readyState, serverSide.OPEN, 'the ping may still lie before it')
  isBehind = false
  await once(serverSide, 'close')
  beat.stop()
  t.pass('cut off')
})

void t.test('many requests at once are all answered', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  for (let id = 0; id < 500; id += 1) client.send(request(id, 'execution.get', { executionId: UNKNOWN }))
  t.same((await client.take(500)).map(({ id }) => Number(id)).sort((a, b) => a - b), Array.from({ length: 500 }, (_, id) => id))
})

void t.test('a large event is shortened within the limit and says by how much', async t => {
  const harness = await open(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  const run = await harness.start(executionId)
  await run.write(delta('\u{1F600}'.repeat(50_000)))
  await client.call('execution.subscribe', { executionId, after: 2, maxEventBytes: 1_000 })
  const { params } = await client.next()
  t.match(params, { event: { seq: 3, type: 'text.delta', attempt: 1, data: { message: 0, text: /^(\u{1F600})+…$/u }, truncatedBytes: Number } })
  t.ok(Buffer.byteLength(JSON.stringify(params?.['event'])) <= 1_000)
  const wide = Buffer.from(JSON.stringify({ seq: 1, type: 'x', at: 'now', attempt: 1, data: { list: Array.from({ length: 9_999 }, (_, index) => ({ index })) } }))
  for (const limit of [256, 512, 4_096]) {
    const short = shortenEvent(wide, limit)
    t.ok(short.length <= limit)
    const { truncatedBytes, ...kept } = JSON.parse(short.toString()) as { truncatedBytes: number }
    t.equal(truncatedBytes + Buffer.byteLength(JSON.stringify(kept)), wide.length)
  }
})

void t.test('the OpenRPC document is valid, whole, and always the same', async t => {
  const document = buildOpenRpcDocument('1.2.3')
  const { $schema: _of, ...schema } = metaSchema as unknown as Record<string, unknown>
  const ajv = new Ajv({ strict: false })
  ajv.addSchema({ $id: 'https://meta.json-schema.tools', $ref: 'http://json-schema.org/draft-07/schema#' })
  const validate = ajv.compile(schema)
  t.ok(validate(document), JSON.stringify(validate.errors))
  const text = JSON.stringify(document)
  t.equal(text, JSON.stringify(buildOpenRpcDocument('1.2.3')))
  const { schemas, errors } = document['components'] as Record<'schemas' | 'errors', Record<string, unknown>>
  for (const [, kind = '', name = ''] of text.matchAll(/"#\/components\/(schemas|errors)\/([^"]+)"/g)) {
    t.ok((kind === 'errors' ? errors : schemas)[name], `${kind} ${name}`)
  }
  t.notMatch(text, /#\/definitions|13579/)
  t.match((document['methods'] as Array<{ name: string }>).map(({ name }) => name), ['execute', 'execution.get'])
})

void t.test('a connection that is closed leaves nobody following', async t => {
  const harness = await open(t)
  const executionId = await harness.submit()
  const client = await harness.connect()
  await client.call('execution.subscribe', { executionId })
  await client.next()
  harness.connections[0]?.close(1001, 'going away')
  t.equal(await client.closed, 1001)
  const { redis } = harness.services
  const count = async () => (await redis.pubsub('NUMSUB', harness.services.log.channelOf(executionId)))[1]
  while ((await count()) !== 0) await new Promise(resolve => setImmediate(resolve))
  t.pass('the channel has no subscriber')
})
