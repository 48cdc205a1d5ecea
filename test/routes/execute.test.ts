// POST /execute: what is taken, what is refused and why, keys that make one of many, and waiting for the end.
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { isTerminal } from '../../src/protocol/execution.js'
import { amidCollections } from '../support/garbage.js'
import { TOKENS, UNKNOWN, openRest, rawRequest, numbers } from './scene.js'
import { once, until as untilHolds } from '../support/deadlines.js'

const { service, call, finished, run, held, until } = await openRest(t)

void t.test('POST /execute takes a prompt, and a command in the original form, and says where to look', async (t) => {
  for (const body of [{ prompt: 'hello' }, { command: 'claude -p "hello" --output-format text', timeout: 30 }]) {
    const answer = await call('POST', '/execute', { body })
    t.equal(answer.status, 202)
    t.equal(answer.headers.get('location'), `/executions/${answer.body.id}`)
    t.match(answer.body, { kind: 'run', status: 'queued', request: body, attempt: 0, simulated: true, metadata: {} })
    t.match(await finished(answer.body.id), {
      status: 'succeeded',
      attempt: 1,
      outcome: { result: 'heard: hello', exitCode: 0 },
      usage: { inputTokens: 1, outputTokens: 2, costUsd: 0.01 },
    })
  }
  t.equal((await call('POST', '/executions', { body: { prompt: 'the other path' } })).status, 202)
})

void t.test('what is not valid is refused, and the field is named', async (t) => {
  const MIB = 1024 * 1024
  const refused: Array<[Record<string, unknown>, number, string, string]> = [
    [{ prompt: 5 }, 400, 'INVALID_REQUEST', 'prompt'],
    [{ prompt: '' }, 400, 'INVALID_REQUEST', 'prompt'],
    [{ prompt: 'a\0b' }, 400, 'INVALID_REQUEST', 'prompt'],
    [{ prompt: ' \n' }, 400, 'INVALID_REQUEST', 'prompt'],
    [{ tasks: ['x', ' '] }, 400, 'INVALID_REQUEST', 'tasks[1]'],
    [{ prompt: 'x', metadata: { a: '\ud800' } }, 400, 'INVALID_REQUEST', 'metadata.a'],
    [{ prompt: 'x', workspace: 'a\nb' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: 'a\\b' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: '..\\a' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: `a/${'x'.repeat(256)}` }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x'.repeat(5 * MIB) }, 413, 'PAYLOAD_TOO_LARGE', 'prompt'],
    [{}, 400, 'INVALID_REQUEST', 'prompt'],
    [{ prompt: 'x', command: 'claude -p x' }, 400, 'INVALID_REQUEST', 'command'],
    [{ prompt: 'x', promt: 'y' }, 400, 'INVALID_REQUEST', 'promt'],
    [{ prompt: 'x', timeout: 5 }, 400, 'INVALID_REQUEST', 'timeout'],
    [{ prompt: 'x', timeoutSeconds: '5' }, 400, 'INVALID_REQUEST', 'timeoutSeconds'],
    [{ prompt: 'x', timeoutSeconds: 0 }, 400, 'INVALID_REQUEST', 'timeoutSeconds'],
    [{ prompt: 'x', maxTurns: 1.5 }, 400, 'INVALID_REQUEST', 'maxTurns'],
    [{ prompt: 'x', metadata: { a: 1 } }, 400, 'INVALID_REQUEST', 'metadata.a'],
    [{ prompt: 'x', metadata: { 'a b': 'c' } }, 400, 'INVALID_REQUEST', 'metadata.a b'],
    [{ prompt: 'x', metadata: { a: 'x'.repeat(4_096) } }, 413, 'PAYLOAD_TOO_LARGE', 'metadata'],
    [{ prompt: 'x', permissionMode: 'bypassPermissions' }, 403, 'FORBIDDEN', 'permissionMode'],
    [{ prompt: 'x', permissionMode: 'auto' }, 403, 'FORBIDDEN', 'permissionMode'],
    [{ command: 'claude -p x --permission-mode auto' }, 403, 'FORBIDDEN', 'permissionMode'],
    [{ prompt: 'x', workspace: '/etc' }, 403, 'FORBIDDEN', 'workspace'],
    [{ prompt: 'x', workspace: '../x' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: 'a/../../x' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: '.' }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ prompt: 'x', workspace: UNKNOWN }, 400, 'INVALID_REQUEST', 'workspace'],
    [{ command: 'rm -rf /' }, 400, 'COMMAND_NOT_ALLOWED', 'command'],
    [{ command: 'claude -p x; rm y' }, 400, 'COMMAND_NOT_ALLOWED', 'command'],
    [{ command: 'claude -p x', timeout: 1.5 }, 400, 'INVALID_REQUEST', 'timeout'],
  ]
  for (const [body, status, code, path] of refused) {
    const answer = await call('POST', '/execute', { body })
    const shown = JSON.stringify(body).slice(0, 60)
    t.match(
      answer.body,
      { status, code, retryable: false, type: String, title: String, detail: String, requestId: String },
      shown,
    )
    t.ok(
      answer.body.errors?.some((error: { path: string }) => error.path === path),
      `${shown} names ${path}: ${JSON.stringify(answer.body.errors)}`,
    )
    t.match(answer.body.detail, path, 'the sentence alone tells it, too')
  }
  const say = async (body: unknown) => (await call('POST', '/execute', { body })).body.errors
  t.same(await say({ prompt: 'x', timeoutSeconds: 'soon' }), [
    { path: 'timeoutSeconds', message: 'must be a number of seconds, more than 0 and not more than 86400, or "auto"' },
  ])
  t.match(await say({ prompt: 'x', mcpServers: { a: {} } }), [
    { path: 'mcpServers.a', message: /^expected \{"command"/ },
  ])
  t.match(await say({ prompt: 'x', metadata: { 'a b': 'c' } }), [{ path: 'metadata.a b', message: /^a label is/ }])
  t.same(await say({ prompt: 'x', agents: { a: { prompt: 'p' } } }), [
    { path: 'agents.a.description', message: 'is required' },
  ])
  t.same(await say(null), [{ path: '', message: 'a JSON object is required' }])
  const bypass = await call('POST', '/execute', { body: { command: 'claude -p x --dangerously-skip-permissions' } })
  t.match(bypass.body, { status: 403, code: 'FORBIDDEN', detail: /CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS/ })
  t.match(
    (await call('POST', '/execute', { body: { prompt: 'x', mcpServers: { a: { command: 'x' } } }, as: 'runner' })).body,
    { code: 'FORBIDDEN', detail: /admin/ },
  )
})

void t.test('of many faults the first are named and all are counted, on every surface', async (t) => {
  const wrong = (count: number) => ({
    prompt: 'x',
    ...Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 0])),
  })
  t.match((await call('POST', '/execute', { body: wrong(2) })).body, { errors: { length: 2 }, errorCount: 2 })
  t.match((await call('POST', '/execute', { body: wrong(300) })).body, {
    errors: { length: 20 },
    errorCount: 300,
    detail: /k19: unknown field; and 280 more$/,
  })
  const rest = await call('POST', '/execute', { body: wrong(100_000) })
  t.match([rest.status, rest.body.errors.length, rest.body.errorCount], [400, 20, 100_000])
  t.match(rest.body.detail, /k19: unknown field; and 99980 more$/)
  t.ok(rest.text.length < 10_000, `${rest.text.length} characters`)
  const crowd = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, 0]))
  for (const body of [
    { prompt: 'x', metadata: crowd },
    { prompt: 'x', mcpServers: crowd },
    { tasks: [{ prompt: 'x', verify: crowd }] },
  ])
    t.match((await call('POST', '/execute', { body })).body, {
      status: 400,
      errors: [
        { path: /^(?:metadata|mcpServers|tasks\[0\]\.verify)$/, message: 'must not have more than 5000 members' },
      ],
    })
  const metadata = Object.fromEntries(Object.entries(crowd).slice(0, 600))
  const spread = { tasks: Array.from({ length: 100 }, () => ({ prompt: 'x', metadata })) }
  t.match((await call('POST', '/execute', { body: spread })).body, {
    errors: [{ path: '', message: /50000 members in all/ }],
  })
  const long = await call('POST', '/execute', { body: { prompt: 'x', ['k'.repeat(1_000_000)]: 0 } })
  t.ok(long.status === 400 && long.text.length < 2_000, 'nor is a name repeated that is endless')
  for (const path of ['/ws', '/ws/mcp']) {
    const socket = new WebSocket(`${service.url().replace('http', 'ws')}${path}`, {
      headers: { authorization: `Bearer ${TOKENS.alice}` },
    })
    const answer = new Promise<string>((resolve) =>
      socket.on('message', (data: Buffer) => data.includes('"error"') && resolve(data.toString())),
    )
    await once(socket, 'open')
    const params = { ...wrong(20_000), ...(path === '/ws/mcp' && { command: 'claude -p x' }) }
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execute', params }))
    const text = await answer
    const { data } = (JSON.parse(text) as { error: { data: { errors: object[]; errorCount: number } } }).error
    t.equal(data.errors.length, 20, path)
    t.ok(data.errorCount >= 20_000 && text.length < 10_000, `${path}: ${data.errorCount} of ${text.length} characters`)
    socket.terminate()
  }
})

void t.test('a body that is no JSON is refused for what it is', async (t) => {
  const post = (raw: string | Buffer, headers: Record<string, string> = {}) =>
    call('POST', '/execute', { raw, headers })
  t.match((await post('{"prompt": "x"')).body, { status: 400, code: 'PARSE_ERROR' })
  t.match((await post(Buffer.from([...Buffer.from('{"prompt":"'), 0xff, ...Buffer.from('"}')]))).body, {
    status: 400,
    code: 'PARSE_ERROR',
    detail: /UTF-8/,
  })
  t.match((await post('{"prompt":"\\ud800"}')).body, {
    status: 400,
    code: 'INVALID_REQUEST',
    errors: [{ path: 'prompt', message: /surrogate/ }],
  })
  t.match((await post('[]')).body, { status: 400, code: 'INVALID_REQUEST' })
  t.match((await post('null')).body, { status: 400, code: 'INVALID_REQUEST' })
  t.match((await post('')).body, { status: 400, code: 'INVALID_REQUEST' })
  t.match((await post('prompt=x', { 'content-type': 'application/x-www-form-urlencoded' })).body, {
    status: 415,
    code: 'UNSUPPORTED_MEDIA_TYPE',
  })
  t.match((await post('{"prompt":"x"}', { 'content-type': 'text/plain' })).body, { status: 415 })
  t.match((await post(`{"prompt":"${'x'.repeat(9 * 1024 * 1024)}"}`)).body, { status: 413, code: 'PAYLOAD_TOO_LARGE' })
  t.equal((await post('{"prompt":"x"}', { 'content-type': 'application/json; charset=utf-8' })).status, 202)
  t.match((await post('{"prompt":"x"}', { 'content-type': 'application/json; charset=latin1' })).body, {
    status: 415,
    detail: /latin1/,
  })
  t.match((await post('{"prompt":"x"}', { 'content-encoding': 'gzip' })).body, { status: 415, detail: /gzip/ })
  const deep = `${'{"a":'.repeat(5_000)}{}${'}'.repeat(5_000)}`
  t.match((await post(`{"prompt":"x","outputSchema":{"type":"object","properties":${deep}}}`)).body, {
    status: 400,
    errors: [{ path: 'outputSchema', message: /100 levels/ }],
  })
  for (const receipt of [deep, JSON.stringify(deep)]) {
    t.ok(
      [200, 400].includes((await call('POST', '/receipts/verify', { raw: `{"receipt":${receipt}}` })).status),
      'a receipt of any depth is looked at',
    )
  }
})

void t.test('a body that is too large is refused to clients that write all of it before they read', async (t) => {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(service.url()).port) })
  t.teardown(() => socket.destroy())
  const size = 24 * 1024 * 1024
  let answers = ''
  socket.setEncoding('utf8').on('data', (text: string) => (answers += text))
  const head = (length: number) =>
    `POST /execute HTTP/1.1\r\nhost: ${new URL(service.url()).host}\r\nauthorization: Bearer ` +
    `${TOKENS.alice}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
  socket.write(head(size))
  for (let sent = 0; sent < size; sent += 1024 * 1024) {
    // Not what it says all at once: whoever is refused early is still writing.
    if (!socket.write(Buffer.alloc(1024 * 1024, 'x'))) await once(socket, 'drain')
  }
  socket.write(`${head(2)}{}`)
  await untilHolds(() => answers.includes('either prompt'), 'both are answered')
  t.match(answers, /^HTTP\/1\.1 413 .*PAYLOAD_TOO_LARGE.*HTTP\/1\.1 400 /s, 'both are answered, on one connection')
})

void t.test('an offer of a protocol that is not spoken here is ignored: Java asks for HTTP/2 that way', async (t) => {
  const offer = {
    connection: 'Upgrade, HTTP2-Settings',
    upgrade: 'h2c',
    'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
    authorization: `Bearer ${TOKENS.alice}`,
  }
  t.match(await rawRequest(service.url(), '/health', offer), { status: 200, body: /"status":"ok"/ })
  for (const coding of [{ 'content-length': '19' }, { 'transfer-encoding': 'chunked' }]) {
    const sent = request(`${service.url()}/execute`, {
      method: 'POST',
      headers: { ...offer, ...coding, 'content-type': 'application/json' },
      agent: false,
    })
    sent.write('{"prompt":')
    // In two packets: the body comes after the request was put back.
    setTimeout(() => sent.end('"h2c ok"}'), 50)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    t.equal(response.statusCode, 202)
    response.resume()
  }
})

void t.test('an empty body needs no type', async (t) => {
  const { id } = await run({ prompt: 'x' })
  t.equal(
    (
      await call('POST', `/executions/${id}/cancel`, {
        raw: '',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
    ).status,
    200,
    'as curl -d "" sends it',
  )
})

void t.test('credentials and preferences are read as their RFCs write them', async (t) => {
  for (const [authorization, status] of [
    [`bearer   ${TOKENS.alice}`, 200],
    [`Bearer ${TOKENS.alice} x`, 401],
    [TOKENS.alice, 401],
  ] as const) {
    t.equal((await call('GET', '/queue', { headers: { authorization } })).status, status, authorization)
  }
  t.equal((await call('GET', '/executions?limit=1', { headers: { accept: '' } })).status, 200)
  for (const prefer of ['Wait=20', 'wait = "20"', 'respond-async, wait=20;x=y']) {
    t.equal(
      (await call('POST', '/execute', { body: { prompt: 'x' }, headers: { prefer } })).headers.get(
        'preference-applied',
      ),
      'wait=20',
      prefer,
    )
  }
  for (const prefer of ['wait=1.5', 'wait=x', 'nowait=5', 'wait="5']) {
    t.equal(
      (await call('POST', '/execute', { body: { prompt: 'x' }, headers: { prefer } })).headers.get(
        'preference-applied',
      ),
      null,
      prefer,
    )
  }
})

void t.test('an Idempotency-Key makes one execution of many requests', async (t) => {
  const post = (body: Record<string, unknown>, key: string, as: 'alice' | 'bob' = 'alice') =>
    call('POST', '/execute', { body, headers: { 'idempotency-key': key }, as })
  const first = await post({ prompt: 'once', metadata: { a: '1', b: '2' } }, 'k1')
  t.equal(first.status, 202)
  t.equal(first.headers.get('idempotent-replayed'), null)
  const again = await post({ metadata: { b: '2', a: '1' }, prompt: 'once' }, 'k1')
  t.equal(again.status, 200)
  t.equal(again.headers.get('idempotent-replayed'), 'true')
  t.equal(again.headers.get('location'), `/executions/${first.body.id}`)
  t.equal(again.body.id, first.body.id)
  t.match((await post({ prompt: 'twice' }, 'k1')).body, { status: 422, code: 'IDEMPOTENCY_CONFLICT' })
  const other = await post({ prompt: 'once' }, 'k1', 'bob')
  t.equal(other.status, 202, 'each token has keys of its own')
  t.not(other.body.id, first.body.id)
  const parallel = await Promise.all(numbers(1, 20).map(() => post({ prompt: 'at once' }, 'k2')))
  t.equal(new Set(parallel.map(({ body }) => body.id)).size, 1)
  t.same(
    parallel.map(({ status }) => status).filter((status) => status === 202),
    [202],
  )
  t.match((await post({ prompt: 'x' }, 'k'.repeat(256))).body, { status: 400, errors: [{ path: 'Idempotency-Key' }] })
})

void t.test('Prefer: wait answers with the end when it comes in time, and with 202 else', async (t) => {
  const inTime = await call('POST', '/execute', {
    body: { prompt: 'quick' },
    headers: { prefer: 'respond-async, wait=50' },
  })
  t.equal(inTime.status, 200)
  t.match(inTime.body, { status: 'succeeded', outcome: { result: 'heard: quick' } })
  t.equal(inTime.headers.get('preference-applied'), 'wait=50')
  const late = await call('POST', '/execute', { body: { prompt: '[{"hang":true}]' }, headers: { prefer: 'wait=1' } })
  t.equal(late.status, 202)
  t.notOk(isTerminal(late.body.status))
  await until(late.body.id, 'execution.started')
  t.equal((await call('POST', `/executions/${late.body.id}/cancel`, { body: { reason: 'enough' } })).status, 202)
  t.match(await finished(late.body.id), {
    status: 'cancelled',
    outcome: { code: 'CANCELLED', message: /alice: enough/ },
  })
})

void t.test('a wait ends in time, whatever is collected meanwhile', { timeout: 600_000 }, async (t) => {
  const execution = await held()
  const { body } = await call('GET', `/executions/${execution.id}/events`)
  const [page, result, posted] = await amidCollections(
    Promise.all([
      call('GET', `/executions/${execution.id}/events?after=${body.nextAfter}&waitSeconds=1`),
      call('GET', `/executions/${execution.id}/result?waitSeconds=1`),
      call('POST', '/execute', { body: { prompt: '[{"hang":true}]' }, headers: { prefer: 'wait=1' } }),
    ]),
  )
  t.same([page.status, page.body.events, result.body.code, posted.status], [200, [], 'NOT_FINISHED', 202])
  await Promise.all([execution.release(), call('POST', `/executions/${posted.body.id}/cancel`, { body: {} })])
  await Promise.all([finished(execution.id), finished(posted.body.id)])
})
