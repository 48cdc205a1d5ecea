// JSON-RPC 2.0 over /ws: the specification's own examples, errors, scopes, and the operations.
import t from 'tap'
import { startHeartbeat } from '../../src/rpc/heartbeat.js'
import { delta, HEALTH, isClosed, openRpc, request, statusOf, type Message } from './harness.js'
import { once, until } from '../support/deadlines.js'

const UNKNOWN = '00000000-0000-7000-8000-000000000000'

void t.test("the specification's examples", async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const says = async (sent: unknown, expected: unknown, what: string) => {
    client.send(sent)
    t.match(await client.next(), expected, what)
  }
  await says(request(1, 'health.get'), { jsonrpc: '2.0', id: 1, result: HEALTH }, 'params may be missing')
  await says(request('one', 'health.get', {}), { id: 'one', result: HEALTH }, 'a string as id')
  await says(request(null, 'health.get', {}), { id: null, result: HEALTH }, 'null as id is a request')
  await says(request(0, 'health.get', {}), { id: 0 }, '0 as id is a request')
  await says(
    request(1, 'health.get', [42, 23]),
    {
      id: 1,
      error: { code: -32602, message: /by name/, data: { code: 'INVALID_REQUEST', errors: [{ path: 'params' }] } },
    },
    'params by position',
  )
  await says(
    request('1', 'foobar'),
    {
      jsonrpc: '2.0',
      id: '1',
      error: { code: -32601, data: { code: 'METHOD_NOT_FOUND', retryable: false, requestId: /^c-/ } },
    },
    'a method that is not there',
  )
  await says(
    '{"jsonrpc":"2.0","id":1,"method":"no.such","params":[]}',
    { id: 1, error: { code: -32601, data: { code: 'METHOD_NOT_FOUND' } } },
    'one that is not there, whatever its params',
  )
  await says(
    '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
    { id: null, error: { code: -32700 } },
    'invalid JSON',
  )
  await says(
    '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
    { id: null, error: { code: -32600 } },
    'an invalid request',
  )
  await says({ jsonrpc: '2.0', method: 1, id: 7 }, { id: 7, error: { code: -32600 } }, 'its id, where it is valid')
  await says(
    { jsonrpc: '2.0', method: 'health.get', id: {} },
    { id: null, error: { code: -32600 } },
    'an id of a wrong type',
  )
  await says({ jsonrpc: '1.0', method: 'health.get', id: 8 }, { id: 8, error: { code: -32600 } }, 'another version')
  await says(
    request(9, 'health.get', 'bar'),
    { id: 9, error: { code: -32600 } },
    'params that are neither object nor array',
  )
  await says(
    '[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"]',
    { id: null, error: { code: -32700 } },
    'a batch with invalid JSON',
  )
  await says('[]', { id: null, error: { code: -32600 } }, 'an empty batch')
  await says('[1]', [{ id: null, error: { code: -32600 } }], 'an invalid batch that is not empty')
  await says(
    '[1,2,3]',
    [-32600, -32600, -32600].map((code) => ({ id: null, error: { code } })),
    'an invalid batch',
  )
  await says(
    Array.from({ length: 1_001 }, () => 1),
    { id: null, error: { code: -32600, message: /1000/ } },
    'a batch that is too long',
  )
  client.send([
    request('1', 'health.get'),
    { jsonrpc: '2.0', method: 'notify_hello', params: [7] },
    { foo: 'boo' },
    request('5', 'foo.get', { name: 'myself' }),
    request('9', 'rpc.discover'),
  ])
  const batch = (await client.next()) as unknown as Message[]
  t.same(
    batch.map(({ id }) => id).sort((a, b) => String(a).localeCompare(String(b))),
    ['1', '5', '9', null],
    'a batch is answered in one array, notifications left out',
  )
  client.send([
    { jsonrpc: '2.0', method: 'notify_sum', params: [1] },
    { jsonrpc: '2.0', method: 'execution.get', params: {} },
  ])
  client.send({ jsonrpc: '2.0', method: 'foobar' })
  await says(request(10, 'health.get'), { id: 10 }, 'notifications are not answered, not even with an error')
  client.socket.send(Buffer.from('{}'), { binary: true })
  t.equal(await client.closed, 1003, 'binary frames are refused')
})

void t.test('errors say which field is wrong, and nothing of ours', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  t.match(await client.call('execute', { promt: 'x' }), {
    error: { code: -32602, data: { code: 'INVALID_REQUEST', errors: [{ path: 'promt', message: 'unknown field' }] } },
  })
  t.match(await client.call('execution.get', { executionId: UNKNOWN }), {
    error: { code: 40401, data: { code: 'EXECUTION_NOT_FOUND', retryable: false } },
  })
  t.match(await client.call('execution.unsubscribe', { subscriptionId: 'sub-9' }), { error: { code: 40402 } })
  t.match(await client.call('execute', { command: 'rm -rf /' }), {
    error: { code: 40001, data: { code: 'COMMAND_NOT_ALLOWED' } },
  })
  const failed = await client.call('queue.get')
  t.match(failed, { error: { code: -32603, data: { code: 'INTERNAL' } } })
  t.notMatch(JSON.stringify(failed), /secret/)
})

void t.test('a token without the scope is refused by the scope’s name; admin includes all', async (t) => {
  const reader = await (await openRpc(t, {}, { id: 'reader', name: 'reader', scopes: new Set(['read']) })).connect()
  t.match(await reader.call('execute', { prompt: 'x' }), { error: { code: 40301, message: /execute scope/ } })
  t.match(await reader.call('execution.cancel', { executionId: UNKNOWN }), { error: { code: 40301 } })
  t.match(await reader.call('execution.list'), { result: { executions: [], nextCursor: null } })
  const admin = await (await openRpc(t, {}, { id: 'admin', name: 'admin', scopes: new Set(['admin']) })).connect()
  t.match(await admin.call('execute', { prompt: 'x', subscribe: false }), { result: { status: 'queued' } })
})

void t.test(
  'execute answers before its first event, tells all to the end, and then that nothing follows',
  async (t) => {
    const harness = await openRpc(t)
    const client = await harness.connect()
    client.send(request(1, 'execute', { prompt: 'hello', metadata: { team: 'docs' } }))
    const answer = await client.next()
    t.match(answer, { id: 1, result: { status: 'queued', metadata: { team: 'docs' }, subscriptionId: String } })
    const executionId = String(answer.result?.['id'])
    const run = await harness.start(executionId)
    await run.write(delta('grüße \u{1F600}'))
    await run.finish()
    const events = await client.take(4)
    t.match(
      events.map(({ params }) => params),
      [
        { executionId, subscriptionId: answer.result?.['subscriptionId'], event: { seq: 1, type: 'execution.queued' } },
        { event: { seq: 2, type: 'execution.started' } },
        { event: { seq: 3, data: { text: 'grüße \u{1F600}' } } },
        { event: { seq: 4, type: 'execution.finished' } },
      ],
    )
    t.match(await client.next(), {
      method: 'subscription.closed',
      params: { subscriptionId: answer.result?.['subscriptionId'], executionId, reason: 'finished' },
    })
    t.match(await client.call('execution.get', { executionId }), {
      result: { status: 'succeeded', outcome: { result: 'done' } },
    })
    t.match(
      await client.call('execution.cancel', { executionId }),
      { result: { status: 'succeeded' } },
      'cancelling what has finished changes nothing',
    )
    t.match(await client.call('execution.pause', { executionId }), { error: { code: 40901 } })
  },
)

void t.test('in a batch the events come after the answer of the batch', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  client.send([request(1, 'execute', { prompt: 'a' }), request(2, 'execution.list')])
  t.ok(Array.isArray(await client.next()))
  t.match(await client.next(), { method: 'execution.event', params: { event: { seq: 1 } } })
})

void t.test('a notification is carried out', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const executionId = await harness.submit()
  client.send({ jsonrpc: '2.0', method: 'execution.cancel', params: { executionId } })
  t.match(await client.call('execution.subscribe', { executionId, types: ['execution.finished'] }), {
    result: { subscriptionId: String },
  })
  await client.until(isClosed)
  t.equal(await statusOf(harness, executionId), 'cancelled')
})

void t.test('an idempotency key gives the same execution again', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const first = await client.call('execute', { prompt: 'x', idempotencyKey: 'k', subscribe: false })
  const again = await client.call('execute', { prompt: 'x', idempotencyKey: 'k', subscribe: false })
  t.equal(again.result?.['id'], first.result?.['id'])
  t.match(await client.call('execute', { prompt: 'y', idempotencyKey: 'k' }), { error: { code: 42201 } })
})

void t.test('whoever answers no ping is cut off, but not while it is behind', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  const [serverSide] = harness.server.clients
  if (!serverSide) throw new Error('not connected')
  let pings = 0
  client.socket.on('ping', () => (pings += 1))
  let checks = 0
  let isBehind = false
  const moreChecks = (enough = checks + 10): Promise<void> => until(() => checks >= enough, 'it is looked at again')
  const beat = startHeartbeat({
    socket: serverSide,
    isBehind: () => ((checks += 1), isBehind),
    intervalMs: 20,
    limitMs: 6_000,
  })
  await until(() => pings >= 20, 'it is pinged')
  t.equal(serverSide.readyState, serverSide.OPEN, 'pongs keep it alive, without a word of the application')
  isBehind = true
  client.socket.pause()
  await moreChecks()
  t.equal(serverSide.readyState, serverSide.OPEN, 'the ping may still lie before it')
  const forgiving = startHeartbeat({
    socket: serverSide,
    isBehind: () => false,
    wantsPong: false,
    intervalMs: 20,
    limitMs: 20,
  })
  await moreChecks()
  t.equal(serverSide.readyState, serverSide.OPEN, 'where no pong is wanted silence is no reason')
  forgiving.stop()
  isBehind = false
  await once(serverSide, 'close')
  beat.stop()
  t.pass('cut off')
})

void t.test('many requests at once are all answered', async (t) => {
  const harness = await openRpc(t)
  const client = await harness.connect()
  for (let id = 0; id < 500; id += 1) client.send(request(id, 'execution.get', { executionId: UNKNOWN }))
  t.same(
    (await client.take(500)).map(({ id }) => Number(id)).sort((a, b) => a - b),
    Array.from({ length: 500 }, (_, id) => id),
  )
})
