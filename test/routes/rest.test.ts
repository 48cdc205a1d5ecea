// The REST half of the protocol, with a scripted CLI. Every answer is held against /openapi.json as well.
import { Validator } from '@seriousme/openapi-schema-validator'
import { createHash } from 'node:crypto'
import { EventSource } from 'eventsource'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { sleep } from '../../src/platform/abort-signals.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { openConformingCall } from '../support/conformance.js'
import { openTestService, type TestService } from '../support/service.js'
import { amidCollections } from '../support/garbage.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { SCRIPTED_CLI } from '../support/paths.js'

const TOKENS = {
  alice: 'alice-0123456789abcdef',
  bob: 'bob-0123456789abcdef',
  reader: 'reader-0123456789abcdef',
  runner: 'runner-0123456789abcdef',
}
const UNKNOWN = '01900000-0000-7000-8000-000000000000'

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_TOKENS: `alice=${TOKENS.alice},bob=${TOKENS.bob},reader=${TOKENS.reader}:read,runner=${TOKENS.runner}:execute`,
    CC_EXECUTOR_ALLOWED_ORIGINS: 'https://console.example',
  },
})
const bare = await openConformingCall(service.call)
type Options = Parameters<TestService['call']>[2] & { as?: keyof typeof TOKENS | 'nobody' }

const call = (method: string, path: string, { as = 'alice', headers, ...options }: Options = {}) =>
  bare.call(method, path, {
    ...options,
    headers: { ...(as !== 'nobody' && { authorization: `Bearer ${TOKENS[as]}` }), ...headers },
  })
const submit = (body: Record<string, unknown>): Promise<Execution> =>
  call('POST', '/execute', { body }).then((answer) => answer.body)

async function finished(id: string): Promise<Execution> {
  for (;;) {
    await call('GET', `/executions/${id}/events?types=execution.finished&waitSeconds=30`)
    const execution: Execution = (await call('GET', `/executions/${id}`)).body
    if (isTerminal(execution.status)) return execution
  }
}
async function until(id: string, type: string): Promise<void> {
  for (let page = { events: [] as Event[], finished: false }; page.events.length === 0;) {
    page = (await call('GET', `/executions/${id}/events?types=${type}&waitSeconds=30`)).body
    if (page.finished && page.events.length === 0) throw new Error(`${id} ended without ${type}`)
  }
}
const run = async (body: Record<string, unknown>): Promise<Execution> => finished((await submit(body)).id)

/** One that runs until the test says so. */
async function held(more: Record<string, unknown> = {}): Promise<Execution & { release(): Promise<void> }> {
  const file = join(service.directory, `go-${Math.random()}`)
  const init = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
  const steps = [
    init,
    { file },
    { line: { type: 'assistant', message: { id: 'm1', content: [{ type: 'text', text: 'released' }] } } },
    { line: { type: 'result', is_error: false, subtype: 'success', result: 'released' } },
  ]
  const execution = await submit({ prompt: JSON.stringify(steps), ...more })
  await until(execution.id, 'claude.message')
  return { ...execution, release: () => writeFile(file, '') }
}

/** A request whose every header is the test's own. */
async function rawRequest(
  base: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const sent = request(`${base}${path}`, { headers, setHost: headers['host'] === undefined, agent: false })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

interface Frame {
  readonly id: number
  readonly event: Event
}

async function* readFrames(response: Response): AsyncGenerator<Frame> {
  let rest = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    rest += chunk
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      const frame = /^id: (\d+)\ndata: (.*)$/s.exec(rest.slice(0, end))
      rest = rest.slice(end + 2)
      if (frame) yield { id: Number(frame[1]), event: JSON.parse(frame[2] ?? '') as Event }
    }
  }
}

const openStream = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Response> =>
  fetch(service.url() + path, {
    ...init,
    headers: { authorization: `Bearer ${TOKENS.alice}`, accept: 'text/event-stream', ...headers },
  })
async function collectFrames(response: Response): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of readFrames(response)) frames.push(frame)
  return frames
}
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

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
  while (!answers.includes('either prompt')) await once(socket, 'data')
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

void t.test('an expectation that is not known is ignored', async (t) => {
  t.match(await rawRequest(service.url(), '/health', { expect: 'x' }), { status: 200, body: /"status":"ok"/ })
  t.match(await rawRequest(service.url(), '/executions', { expect: 'x' }), { status: 401, body: /UNAUTHENTICATED/ })
})

void t.test('only a WebSocket is upgraded', async (t) => {
  for (const [path, status] of [
    ['/health', 404],
    ['/executions', 404],
    ['/execute', 405],
    ['/nothing', 404],
  ] as const) {
    const socket = new WebSocket(`${service.url().replace('http', 'ws')}${path}`, {
      headers: { authorization: `Bearer ${TOKENS.alice}` },
    })
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    t.equal(response.statusCode, status, path)
    t.equal(response.headers['content-type'], 'application/problem+json')
    socket.on('error', () => undefined).terminate()
  }
})

void t.test('what is no route says so before anything else, whatever stands at its end or in its body', async (t) => {
  t.match((await call('GET', '/execute/')).headers.get('allow'), 'POST')
  t.match((await call('PUT', '/execute', { raw: 'x', headers: { 'content-type': 'text/plain' } })).body, {
    status: 405,
  })
  t.match((await call('QUERY', '/executions')).body, { status: 405 })
  const options = await call('OPTIONS', '/execute')
  t.match([options.status, options.headers.get('allow')], [405, 'POST'], 'an OPTIONS that is no preflight')
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

void t.test('HEAD of an event stream ends with its head', async (t) => {
  const running = await held()
  const response = await openStream(
    `/executions/${running.id}/events`,
    {},
    { method: 'HEAD', signal: AbortSignal.timeout(120_000) },
  )
  t.match([response.status, response.headers.get('content-type')], [200, /event-stream/])
  await running.release()
  await finished(running.id)
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

void t.test('POST with Accept: text/event-stream answers with the events themselves', async (t) => {
  const response = await openStream(
    '/execute',
    { 'content-type': 'application/json' },
    { method: 'POST', body: JSON.stringify({ prompt: 'stream me' }) },
  )
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^text\/event-stream/)
  t.equal(response.headers.get('x-accel-buffering'), 'no')
  const id = response.headers.get('location')?.split('/').at(-1) ?? ''
  const frames = await collectFrames(response)
  t.same(
    frames.map((frame) => frame.id),
    numbers(1, frames.length),
  )
  t.ok(frames.every((frame) => frame.id === frame.event.seq))
  t.match([frames[0]?.event.type, frames.at(-1)?.event.type], ['execution.queued', 'execution.finished'])
  const { body } = await call('GET', `/executions/${id}/events?limit=1000`)
  t.same(
    frames.map(({ event }) => event),
    body.events,
    'the same events as REST gives',
  )
})

void t.test('an event stream says when to come back after a cut, before anything else', async (t) => {
  const { id } = await run({ prompt: 'x' })
  const text = await (await openStream(`/executions/${id}/events`)).text()
  t.match(text, /^retry: 1000\n\nid: 1\ndata: \{"seq":1,/)
})

void t.test('GET /executions filters, pages and exports; parameters it does not know are named', async (t) => {
  const label = { batch: 'list' }
  const started = new Date().toISOString()
  const made = await Promise.all(
    numbers(1, 7).map((index) =>
      submit({
        prompt: index === 3 ? `=1+1 ${'long '.repeat(100)}` : `number ${index}`,
        metadata: { ...label, index: String(index) },
      }),
    ),
  )
  const last = await held({ metadata: label })
  for (const { id } of made) await finished(id)
  const newestFirst = [...made.map(({ id }) => id), last.id].sort().toReversed()
  const list = async (query: string): Promise<string[]> =>
    (await call('GET', `/executions?${query}`)).body.executions.map(({ id }: Execution) => id)

  t.same(await list('metadata.batch=list'), newestFirst)
  t.same(
    await list('metadata.batch=list&metadata.index=4'),
    made.filter(({ metadata }) => metadata['index'] === '4').map(({ id }) => id),
  )
  t.same(await list('metadata.batch=list&status=running'), [last.id])
  t.same(await list('metadata.batch=list&status=succeeded,running'), newestFirst)
  t.same(await list('metadata.batch=list&status=failed'), [])
  t.same(await list(`createdAfter=${started}&metadata.batch=list`), newestFirst)
  t.same(await list(`createdBefore=${started}&metadata.batch=list`), [])
  t.notOk(
    (
      await list(
        `createdAfter=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString().replace('Z', '+00:00'))}`,
      )
    ).length,
  )

  const paged: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await call(
      'GET',
      `/executions?metadata.batch=list&limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`,
    )
    t.ok(body.executions.length <= 3)
    paged.push(...body.executions.map(({ id }: Execution) => id))
    cursor = body.nextCursor
  }
  t.same(paged, newestFirst, 'three pages')

  const csv = await call('GET', '/executions?metadata.batch=list', { headers: { accept: 'text/csv' } })
  t.match(csv.headers.get('content-type'), /^text\/csv/)
  const rows = csv.text.trimEnd().split('\n')
  t.equal(rows.length, 9)
  t.match(rows[0], /^id,status,code,createdAt/)
  t.ok(
    rows.some((row) => row.includes(",'=1+1")),
    'no formula',
  )
  const lines = (
    await call('GET', '/executions?metadata.batch=list', { headers: { accept: 'application/x-ndjson' } })
  ).text
    .trimEnd()
    .split('\n')
  t.same(
    lines.map((line) => (JSON.parse(line) as Execution).id),
    newestFirst,
  )
  t.equal(
    (await call('GET', '/executions?metadata.batch=list&format=ndjson&limit=2')).text.trimEnd().split('\n').length,
    2,
  )
  t.match((await call('GET', '/executions?format=csv&metadata.batch=list')).text, /^id,status/)
  const shortened = (await call('GET', '/executions?metadata.index=3')).body.executions[0]
  t.ok(shortened.request.prompt.length < 210)
  t.ok((await call('GET', `/executions/${shortened.id}`)).body.request.prompt.length > 500)

  const unacceptable: Array<[string, string]> = [
    ['stauts=failed', 'stauts'],
    ['status=done', 'status[0]'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=2x', 'limit'],
    ['cursor=x', 'cursor'],
    ['createdAfter=yesterday', 'createdAfter'],
    ['toString=x', 'toString'],
    ['format=xml', 'format'],
  ]
  for (const [query, path] of unacceptable) {
    t.match(
      (await call('GET', `/executions?${query}`)).body,
      { status: 400, code: 'INVALID_REQUEST', errors: [{ path }] },
      query,
    )
  }
  t.match((await call('GET', '/executions', { headers: { accept: 'image/png' } })).body, {
    status: 406,
    code: 'NOT_ACCEPTABLE',
  })
  t.same(
    (await call('GET', '/executions?metadata.batch=list', { as: 'bob' })).body,
    { executions: [], nextCursor: null },
    'each token sees its own',
  )
  await last.release()
  await finished(last.id)
  for (const format of ['csv', 'ndjson'])
    for (const [filter, code] of [
      [`parentId=${UNKNOWN}`, 'EXECUTION_NOT_FOUND'],
      ['kind=task', 'INVALID_REQUEST'],
    ] as const)
      t.match((await call('GET', `/executions?${filter}&format=${format}`)).body, { code }, `${format}, ${filter}`)
})

void t.test('an execution that is not there, or somebody else’s, is 404 on every path', async (t) => {
  const { id } = await run({ prompt: 'mine' })
  for (const [target, as] of [
    [UNKNOWN, 'alice'],
    [id, 'bob'],
  ] as const) {
    for (const path of ['', '/events', '/result'])
      t.match(
        (await call('GET', `/executions/${target}${path}`, { as })).body,
        { status: 404, code: 'EXECUTION_NOT_FOUND' },
        `GET ${path}`,
      )
    for (const control of ['cancel', 'pause', 'resume'])
      t.match(
        (await call('POST', `/executions/${target}/${control}`, { as })).body,
        { status: 404, code: 'EXECUTION_NOT_FOUND' },
        control,
      )
    t.match((await call('DELETE', `/executions/${target}`, { as })).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
    t.match(
      (await call('GET', `/executions/${target}/events`, { as, headers: { accept: 'text/event-stream' } })).body,
      { status: 404 },
    )
  }
  t.match((await call('GET', '/executions/not-an-id')).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
  t.equal((await call('GET', `/executions/${id}`)).status, 200)
})

void t.test('events come as pages, by type, and as a long poll', async (t) => {
  const execution = await held()
  const path = `/executions/${execution.id}/events`
  const first = (await call('GET', `${path}?limit=1`)).body
  t.match(first, {
    events: [{ seq: 1, type: 'execution.queued', attempt: 0 }],
    nextAfter: 1,
    hasMore: true,
    finished: false,
  })
  const rest = (await call('GET', `${path}?after=1`)).body
  t.match(rest, {
    events: [{ seq: 2, type: 'execution.started', attempt: 1, data: { argv: [/^claude$/, /^-p$/] } }],
    hasMore: false,
    finished: false,
  })
  t.notMatch(JSON.stringify(rest.events[0].data.argv), 'released', 'the prompt is in no argument')
  t.same((await call('GET', `${path}?after=${rest.nextAfter}`)).body, {
    events: [],
    nextAfter: rest.nextAfter,
    hasMore: false,
    finished: false,
  })
  t.same((await call('GET', `${path}?after=${rest.nextAfter}&waitSeconds=1`)).body.events, [], 'nothing came')
  const poll = call('GET', `${path}?after=${rest.nextAfter}&types=text.delta&waitSeconds=60`)
  await execution.release()
  const { body } = await poll
  t.match(body.events, [{ type: 'text.delta', data: { message: 0, text: 'released' } }])
  await finished(execution.id)
  const all = (await call('GET', path)).body
  t.match(all, { hasMore: false, finished: true })
  t.same(
    all.events.map(({ seq }: Event) => seq),
    numbers(1, all.events.length),
  )
  t.equal(all.nextAfter, all.events.at(-1).seq)
  const exactly = (await call('GET', `${path}?limit=${all.events.length}`)).body
  t.match(exactly, { hasMore: false, finished: true }, 'a page that ends with the log says so')
  t.match((await call('GET', `${path}?limit=${all.events.length - 1}`)).body, { hasMore: true, finished: false })
  t.same(
    (await call('GET', `${path}?after=${all.nextAfter}&waitSeconds=60`)).body,
    { events: [], nextAfter: all.nextAfter, hasMore: false, finished: true },
    'behind the end nobody waits',
  )
  t.match((await call('GET', `${path}?types=output`)).body, { events: [], nextAfter: all.nextAfter, finished: true })
  for (const query of ['after=-1', 'limit=0', 'limit=1001', 'waitSeconds=61', 'types=no.such', 'since=1']) {
    t.match(
      (await call('GET', `${path}?${query}`)).body,
      { status: 400, code: 'INVALID_REQUEST', errors: [{ path: new RegExp(`^${query.split('=')[0] ?? ''}`) }] },
      query,
    )
  }
})

void t.test('an event stream resumes by Last-Event-ID and by after, and says 204 behind the end', async (t) => {
  const execution = await held()
  const path = `/executions/${execution.id}/events`
  const live = readFrames(await openStream(path))
  const seen: Frame[] = []
  for (let next = await live.next(); !next.done; next = await live.next()) {
    seen.push(next.value)
    if (next.value.event.type === 'claude.message' && seen.length < 4) await execution.release()
  }
  t.same(
    seen.map(({ id }) => id),
    numbers(1, seen.length),
    'from the first to the last',
  )
  t.equal(seen.at(-1)?.event.type, 'execution.finished')
  const ids = async (query: string, headers: Record<string, string> = {}) =>
    (await collectFrames(await openStream(path + query, headers))).map(({ id }) => id)
  t.same(await ids('', { 'last-event-id': '3' }), numbers(4, seen.length))
  t.same(await ids('?after=2'), numbers(3, seen.length))
  t.same(
    await ids('?after=1', { 'last-event-id': '3' }),
    numbers(4, seen.length),
    'the header is newer than the address',
  )
  t.same(
    (await collectFrames(await openStream(`${path}?types=text.delta`))).map(({ event }) => event.type),
    ['text.delta'],
  )
  t.equal((await openStream(path, { 'last-event-id': String(seen.length) })).status, 204)
  t.equal(
    (await openStream(`${path}?types=text.delta&after=${seen.length - 1}`)).status,
    204,
    'nothing of these types will follow',
  )
  t.match((await call('GET', path, { headers: { accept: 'text/event-stream', 'last-event-id': 'x' } })).body, {
    status: 400,
    errors: [{ path: 'Last-Event-ID' }],
  })
})

async function readByEventSource(t: Test, query: string): Promise<void> {
  const execution = await held()
  const statuses: number[] = []
  let cut: AbortController | undefined
  const source = new EventSource(`${service.url()}/executions/${execution.id}/events${query}`, {
    async fetch(url, init) {
      cut = new AbortController()
      const response = await fetch(url, {
        ...init,
        signal: AbortSignal.any([cut.signal, ...(init.signal ? [init.signal] : [])]),
        headers: { ...init.headers, authorization: `Bearer ${TOKENS.alice}` },
      })
      statuses.push(response.status)
      return response
    },
  })
  t.teardown(() => source.close())
  const seqs: number[] = []
  const closed = new Promise<void>((resolve) => {
    source.addEventListener('error', () => source.readyState === EventSource.CLOSED && resolve())
  })
  source.addEventListener('message', ({ data, lastEventId }) => {
    const { seq, type } = JSON.parse(String(data)) as Event
    t.equal(lastEventId, String(seq))
    seqs.push(seq)
    if (type !== 'claude.message' || statuses.length > 1) return
    cut?.abort(new TypeError('the connection is cut'))
    void execution.release()
  })
  await closed
  const { body } = await call('GET', `/executions/${execution.id}/events${query}`)
  t.same(
    seqs,
    body.events.map(({ seq }: Event) => seq),
    'all of them, each once',
  )
  t.same(statuses, [200, 200, 204])
}

void t.test('HEAD of an event stream is answered at once, and follows nothing', { timeout: 600_000 }, async (t) => {
  const execution = await held()
  const response = await openStream(`/executions/${execution.id}/events`, {}, { method: 'HEAD' })
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^text\/event-stream/)
  await execution.release()
  await finished(execution.id)
})

void t.test('an event stream bears lines of the CLI that hold a carriage return', async (t) => {
  const message = '{"type":"assistant",\r "message":{"id":"m1","content":[{"type":"text","text":"a\\rb"}]}}\r\n'
  const { id } = await run({
    prompt: JSON.stringify([
      { raw: Buffer.from(message).toString('base64') },
      { line: { type: 'result', is_error: false, subtype: 'success', result: 'done' } },
    ]),
  })
  const text = await (await openStream(`/executions/${id}/events`)).text()
  t.notMatch(text, /\r/, 'to a browser it would end the line')
  const streamed = text
    .split('\n')
    .flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice('data: '.length)) as Event] : []))
  t.same(streamed, (await call('GET', `/executions/${id}/events`)).body.events)
})

void t.test(
  'a stream is not cut off while its client takes something, however long one event is under way',
  { timeout: 600_000 },
  async (t) => {
    const { id } = await run({
      prompt: JSON.stringify([
        { line: { type: 'user', message: { content: 'x'.repeat(2) }, padding: 'y' } },
        { repeat: '{"type":"user","padding":"', times: 1 },
        { repeat: 'x'.repeat(65_536), times: 190 },
        { repeat: '"}\n', times: 1 },
        { line: { type: 'result', is_error: false, subtype: 'success', result: 'done' } },
      ]),
    })
    // What is under way takes several times as long as the deadline; a machine that is held up for as long as that
    // gives its client nothing meanwhile.
    const { length, tail } = await withLongerClocks(1, async (seconds) => {
      const api = await service.openApi({ CC_EXECUTOR_WRITE_DEADLINE_SECONDS: String(seconds) })
      t.teardown(() => api.close())
      const socket = connect(api.address.port, '127.0.0.1')
      socket.write(
        `GET /executions/${id}/events HTTP/1.1\r\nconnection: close\r\nhost: ` +
          `127.0.0.1:${api.address.port}\r\nauthorization: Bearer ${TOKENS.alice}\r\naccept: ` +
          `text/event-stream\r\n\r\n`,
      )
      let length = 0
      let tail = ''
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        length += chunk.length
        tail = (tail + chunk.toString('latin1')).slice(-2_000)
        await sleep(20 * seconds)
      }
      return tail.includes('execution.finished') ? { length, tail } : undefined
    })
    t.ok(length > 12_000_000)
    t.match(tail, /execution\.finished/)
  },
)

void t.test('a client that is gone before its stream begins leaves nobody following', async (t) => {
  const execution = await held()
  const redis = openRedis({ url: service.redis.url, logger: createLogger('silent', 'test'), role: 'keeper' })
  t.teardown(() => closeRedis(redis))
  const { lastSeq } = (await call('GET', `/executions/${execution.id}`)).body
  /** Redis answers nobody until they have gone; less than the 0.9 s after which the service answers without it. */
  const leaveEarly = async (): Promise<string[] | undefined> => {
    const gone = new AbortController()
    await redis.call('CLIENT', 'PAUSE', '700', 'ALL')
    const streams = ['events', 'events?waitSeconds=60'].map((path) =>
      openStream(
        `/executions/${execution.id}/${path}`,
        { 'last-event-id': String(lastSeq), ...(path.includes('wait') && { accept: 'application/json' }) },
        { signal: gone.signal },
      ),
    )
    const after = call('GET', `/executions/${execution.id}`)
    setTimeout(() => gone.abort(), 100)
    const statuses = (await Promise.allSettled(streams)).map(({ status }) => status)
    // Its question waits behind those of the streams.
    await after
    return statuses.every((status) => status === 'rejected') ? statuses : undefined
  }
  const statuses = await withLongerClocks(1, leaveEarly)
  t.same(statuses, ['rejected', 'rejected'], 'both had gone before they were answered')
  const channel = `{${service.config.prefix}}:channel:${execution.id}`
  for (let round = 0; round < 200; round += 1) await redis.ping()
  t.same(await redis.pubsub('NUMSUB', channel), [channel, 0])
  await execution.release()
  await finished(execution.id)
})

void t.test('an EventSource reconnects where it was cut, sees each event once, and ends by the 204', async (t) => {
  await Promise.all(['', '?types=text.delta,claude.message'].map((query) => readByEventSource(t, query)))
})

void t.test('the result is the bare answer, or the reason why there is none', async (t) => {
  const { id } = await run({ prompt: 'plain é 🙂' })
  const answer = await call('GET', `/executions/${id}/result`)
  t.match(
    [answer.status, answer.text, answer.headers.get('content-type')],
    [200, 'heard: plain é 🙂', /^text\/plain; charset=utf-8/],
  )
  t.match(answer.headers.get('vary'), /Accept/)
  const asShell = (agent: string, accept: string): Promise<string> =>
    call('GET', `/executions/${id}/result`, { headers: { 'user-agent': agent, accept } }).then(({ text }) => text)
  for (const agent of ['curl/8.14.1', 'Wget/1.25.0', 'HTTPie/3.2.4'])
    t.equal(await asShell(agent, '*/*'), 'heard: plain é 🙂\n', `a line of its own: ${agent}`)
  for (const accept of ['text/plain', 'application/json, Text/Plain;q=0.9, */*'])
    t.equal(await asShell('curl/8.14.1', accept), 'heard: plain é 🙂', `to the byte for a program: ${accept}`)
  const receipt = await call('GET', `/executions/${id}/receipt`)
  t.equal(receipt.body.result.sha256, createHash('sha256').update('heard: plain é 🙂').digest('hex'))
  t.notOk(receipt.text.endsWith('\n'), 'the bytes of a receipt are hashed too')
  const markdown = await call('GET', `/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } })
  t.match(markdown.text, /[^\n]\n$/)
  for (const path of [`/executions/${id}/events`, '/openapi.json', '/health', '/nowhere'])
    t.match((await call('GET', path)).text, /\}\n$/, path)
  const running = await held()
  t.match((await call('GET', `/executions/${running.id}/result`)).body, {
    status: 409,
    code: 'NOT_FINISHED',
    retryable: true,
  })
  const waiting = call('GET', `/executions/${running.id}/result?waitSeconds=60`)
  await running.release()
  t.equal((await waiting).text, 'released')
  const failed = await run({ prompt: '[{"exit":7}]' })
  t.match((await call('GET', `/executions/${failed.id}/result`)).body, {
    status: 422,
    code: 'CLAUDE_EXITED',
    outcome: { status: 'failed', code: 'CLAUDE_EXITED', exitCode: 7 },
  })
})

void t.test('cancel, pause and resume answer by what the execution is', async (t) => {
  const { id } = await run({ prompt: 'over' })
  const before = (await call('GET', `/executions/${id}`)).body
  const cancelled = await call('POST', `/executions/${id}/cancel`)
  t.equal(cancelled.status, 200)
  t.same(cancelled.body, before, 'unchanged')
  for (const control of ['pause', 'resume'])
    t.match((await call('POST', `/executions/${id}/${control}`)).body, { status: 409, code: 'ALREADY_FINISHED' })
  t.match((await call('POST', `/executions/${id}/cancel`, { body: { reson: 'x' } })).body, {
    status: 400,
    errors: [{ path: 'reson' }],
  })
  t.equal((await call('POST', `/executions/${id}/cancel`, { body: {} })).status, 200)
})

void t.test('DELETE forgets a finished execution: folder, keys, Idempotency-Key and all', async (t) => {
  const execution = await held()
  t.match((await call('DELETE', `/executions/${execution.id}`)).body, { status: 409, code: 'NOT_FINISHED' })
  await execution.release()
  const redis = openRedis({ url: service.redis.url, logger: createLogger('silent', 'test'), role: 'keeper' })
  t.teardown(() => closeRedis(redis))
  const ids = [execution.id]
  // Deleted at the very moment at which they end: the worker still has their jobs in its hands.
  for (const key of numbers(1, 8)) {
    const made = await call('POST', '/execute', {
      body: { prompt: `forget ${key}`, workspace: key === 1 ? 'stays' : undefined },
      headers: { 'idempotency-key': `forget-${key}` },
    })
    ids.push(made.body.id)
  }
  for (const id of ids) {
    let answer = await call('DELETE', `/executions/${id}`)
    while (answer.status === 409) answer = await call('DELETE', `/executions/${id}`)
    t.equal(answer.status, 204)
    t.match((await call('DELETE', `/executions/${id}`)).body, { status: 404 })
    t.match((await call('GET', `/executions/${id}`)).body, { status: 404 })
  }
  const again = await call('POST', '/execute', {
    body: { prompt: 'another one' },
    headers: { 'idempotency-key': 'forget-1' },
  })
  t.equal(again.status, 202, 'the key is free')
  await finished(again.body.id)

  const left = async (): Promise<string[]> => {
    const keys = await redis.keys('*')
    const members = await Promise.all(
      keys.map(async (key) => {
        const kind = await redis.type(key)
        const values =
          kind === 'zset'
            ? await redis.zrange(key, '0', '-1')
            : kind === 'set'
              ? await redis.smembers(key)
              : kind === 'list'
                ? await redis.lrange(key, 0, -1)
                : kind === 'string'
                  ? [await redis.get(key)]
                  : []
        return values.map((value) => `${key} ${value}`)
      }),
    )
    const folders = ids
      .flatMap((id) => [join(service.config.workspaceRoot, id), join(service.config.dataDir, 'sessions', id)])
      .filter((path) => existsSync(path))
    return [...keys, ...members.flat(), ...folders].filter((name) => ids.some((id) => name.includes(id)))
  }
  for (let tries = 0; tries < 500 && (await left()).length > 0; tries += 1) await redis.ping()
  t.same(await left(), [], 'nothing bears their ids any more')
  t.ok(existsSync(join(service.config.workspaceRoot, 'stays')), 'a named workspace stays')
})

void t.test('a known path with the wrong method is 405 and says the right ones; an unknown one is 404', async (t) => {
  for (const [method, path, allow] of [
    ['PUT', '/execute', 'POST'],
    ['PATCH', `/executions/${UNKNOWN}`, 'DELETE, GET, HEAD'],
    ['DELETE', '/executions', 'GET, HEAD, POST'],
    ['GET', `/executions/${UNKNOWN}/cancel`, 'POST'],
    ['POST', '/health', 'GET, HEAD'],
  ] as const) {
    const answer = await call(method, path)
    t.match(answer.body, { status: 405, code: 'METHOD_NOT_ALLOWED' }, `${method} ${path}`)
    t.equal(answer.headers.get('allow'), allow)
  }
  t.match((await call('GET', '/nothing/here')).body, { status: 404, code: 'METHOD_NOT_FOUND' })
  t.match((await call('GET', `/executions/${'a'.repeat(101)}`)).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
  for (const [path, status] of [
    ['/docs/json', 200],
    ['/docs/yaml', 200],
    ['/docs/static/..%2fx', 404],
    ['/docs/static/%00', 400],
  ] as const)
    t.equal((await call('GET', path)).status, status, path)
  t.match((await call('GET', '/ws')).body, { status: 426 })
  t.match((await call('GET', '/executions/%zz')).body, { status: 400 })
})

void t.test('without a valid token nothing is told, and each scope opens its own doors', async (t) => {
  const tokens: Array<Record<string, string>> = [
    {},
    { authorization: 'Bearer wrong-0123456789abcdef' },
    { authorization: `Basic ${TOKENS.alice}` },
    { authorization: 'Bearer' },
  ]
  for (const headers of tokens) {
    for (const [method, path] of [
      ['POST', '/execute'],
      ['GET', '/executions'],
      ['GET', '/queue'],
      ['GET', '/auth/status'],
      ['GET', '/nothing/here'],
    ] as const) {
      const answer = await call(method, path, { as: 'nobody', headers })
      t.match(answer.body, { status: 401, code: 'UNAUTHENTICATED' }, `${method} ${path}`)
      t.match(answer.headers.get('www-authenticate'), /^Bearer/)
    }
  }
  t.match((await call('POST', '/execute', { as: 'reader', body: { prompt: 'x' } })).body, {
    status: 403,
    code: 'FORBIDDEN',
    detail: /execute/,
  })
  t.match((await call('DELETE', `/executions/${UNKNOWN}`, { as: 'reader' })).body, { status: 403 })
  t.match((await call('GET', '/nothing/here', { as: 'runner' })).body, { status: 404 }, 'what is nothing asks no scope')
  t.equal((await call('GET', '/executions', { as: 'reader' })).status, 200)
  t.match((await call('GET', '/executions', { as: 'runner' })).body, { status: 403, detail: /read/ })
  t.equal((await call('POST', '/execute', { as: 'runner', body: { prompt: 'x' } })).status, 202)
  t.equal(
    (await call('GET', '/queue', { as: 'nobody', headers: { authorization: `bearer ${TOKENS.alice}` } })).status,
    200,
    'the scheme has no case',
  )
})

async function upgrade(
  base: string,
  path: string,
  headers: Record<string, string>,
  protocols: string[] = [],
): Promise<number> {
  const socket = new WebSocket(base.replace('http', 'ws') + path, protocols, { headers })
  socket.on('error', () => undefined)
  const status = await Promise.race([
    once(socket, 'open').then(() => 101),
    once(socket, 'unexpected-response').then(([, response]) => (response as IncomingMessage).statusCode ?? 0),
  ])
  socket.terminate()
  return status
}

void t.test(
  'a browser, which cannot set Authorization, sends the token as a subprotocol, on the upgrade only',
  async (t) => {
    const address = service.url()
    const ask = (protocols: string[], headers: Record<string, string> = {}) =>
      upgrade(address, '/ws', headers, protocols)
    const bearer = `bearer.${TOKENS.alice}`
    t.equal(await ask(['cc-executor', bearer]), 101)
    for (const protocol of ['bearer.', 'bearer.wrong-0123456789abcdef', `Bearer.${TOKENS.alice}`])
      t.equal(await ask(['cc-executor', protocol]), 401, protocol)
    t.equal(await ask(['cc-executor']), 401)
    t.equal(
      await ask(['cc-executor', bearer], { authorization: 'Bearer wrong-0123456789abcdef' }),
      401,
      'the header counts where there is one',
    )
    t.equal(await ask(['cc-executor', bearer], { origin: 'https://evil.example' }), 403)
    t.equal(
      (await call('GET', '/executions', { as: 'nobody', headers: { 'sec-websocket-protocol': bearer } })).status,
      401,
    )
    const socket = new WebSocket(`${address.replace('http', 'ws')}/ws`, [`bearer.${TOKENS.reader}`, 'cc-executor'])
    await once(socket, 'open')
    t.equal(socket.protocol, 'cc-executor', 'the token is not said back')
    socket.send('{"jsonrpc":"2.0","id":1,"method":"execute","params":{"prompt":"x"}}')
    const [answer] = await once(socket, 'message')
    t.match(JSON.parse(String(answer)), { id: 1, error: { data: { code: 'FORBIDDEN' } } }, 'and it has its own scopes')
    socket.terminate()
  },
)

void t.test('a batch of rpc.discover does not hold up the process', { timeout: 600_000 }, async (t) => {
  const socket = new WebSocket(`${service.url().replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${TOKENS.alice}` },
  })
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  const ask = async (count: number): Promise<number> => {
    const before = process.cpuUsage()
    socket.send(
      JSON.stringify(Array.from({ length: count }, (_, id) => ({ jsonrpc: '2.0', id, method: 'rpc.discover' }))),
    )
    const [data] = (await once(socket, 'message')) as [Buffer]
    t.equal((JSON.parse(data.toString()) as unknown[]).length, count)
    // Of the processor, which a busy machine does not lengthen at one of the two alone.
    return process.cpuUsage(before).user / 1_000
  }
  // The first is built, which takes many times as long as a copy of it takes to be written.
  const firstMs = await ask(1)
  const allMs = await ask(200)
  t.ok(
    allMs < 150 * firstMs,
    `it is built once: ${Math.round(allMs)} ms for 200 after ${Math.round(firstMs)} ms for one`,
  )
})

void t.test('what is not HTTP is answered with a problem, and never in the middle of an answer', async (t) => {
  const { hostname, port } = new URL(service.url())
  const speak = async (text: string): Promise<string> => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => undefined)
    socket.write(text)
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    await once(socket, 'close')
    return answer
  }
  const cases: Array<[string, number, string]> = [
    ['nonsense\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['GET /health HTTP/1.1\r\nHost : x\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'INVALID_REQUEST'],
    [
      `GET /health HTTP/1.1\r\n${`Host: ${hostname}:${port}\r\n`.repeat(2)}Connection: close\r\n\r\n`,
      400,
      'INVALID_REQUEST',
    ],
    [
      `GET /health HTTP/1.1\r\nHost: ${hostname}:${port}\r\nhost: evil.example\r\nConnection: close\r\n\r\n`,
      400,
      'INVALID_REQUEST',
    ],
    [`GET /health HTTP/1.1\r\nHost: ${hostname}:${port}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
  ]
  for (const [text, status, code] of cases) {
    const [head = '', body = ''] = (await speak(text)).split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*content-type: application/problem\\+json`))
    t.match(JSON.parse(body), {
      status,
      code,
      type: `urn:cc-executor:error:${code}`,
      title: String,
      detail: String,
      retryable: false,
      requestId: /^[0-9a-f-]{36}$/,
    })
  }
  const { id, release } = await held()
  const head =
    `GET /executions/${id}/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAccept: ` +
    `text/event-stream\r\nAuthorization: Bearer ${TOKENS.alice}\r\n\r\n`
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  socket.write(head)
  let stream = ''
  for await (const chunk of socket) {
    stream += String(chunk)
    if (stream.includes('"seq":1,')) socket.write('nonsense\r\n\r\n')
  }
  t.notMatch(stream, /urn:cc-executor:error/, 'the stream is cut, not spoilt')
  await release()
})

void t.test(
  'an upgrade that is refused leaves no connection behind, and does not hold up the end of the process',
  async (t) => {
    const api = await service.openApi()
    const { hostname, port } = new URL(api.url)
    for (const head of ['Host: evil.example', `Host: ${hostname}:${port}`]) {
      const socket = connect(Number(port), hostname)
      socket.write(
        `GET /ws HTTP/1.1\r\n${head}\r\nConnection: Upgrade\r\nUpgrade: ` +
          `websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      )
      let answer = ''
      // It is the server that ends the connection: we only read.
      for await (const chunk of socket) answer += String(chunk)
      t.match(answer, /^HTTP\/1\.1 4(?:01|21) [\s\S]*"code":"(?:UNAUTHENTICATED|MISDIRECTED_REQUEST)"/)
    }
    await api.close()
  },
)

void t.test('an upgrade that comes while the API closes is refused, and does not hold up its end either', async (t) => {
  const api = await service.openApi()
  const { hostname, port } = new URL(api.url)
  const head =
    `GET /ws HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ` +
    `${TOKENS.alice}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: ` +
    `13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`
  // It takes no leave, and so the API waits for it.
  const deaf = connect(Number(port), hostname)
  deaf.write(head)
  await once(deaf, 'data')
  const late = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  await once(late, 'connect')
  const leave = once(deaf, 'data')
  const closing = api.close()
  await leave
  late.write(head)
  let answer = ''
  for await (const chunk of late) answer += String(chunk)
  t.match(answer, /^HTTP\/1\.1 503 /)
  late.end()
  await closing
  deaf.destroy()
})

void t.test('Host and Origin are checked before anything else, on HTTP and on the upgrade alike', async (t) => {
  const base = service.url()
  const { port } = new URL(base)
  const authorization = `Bearer ${TOKENS.alice}`
  for (const host of [
    `evil.example:${port}`,
    'evil.example',
    '127.0.0.1',
    `127.0.0.1:${Number(port) - 1}`,
    `127.0.0.1.evil.example:${port}`,
  ]) {
    const answer = await rawRequest(base, '/executions', { host, authorization })
    t.match(
      [answer.status, JSON.parse(answer.body)],
      [421, { status: 421, code: 'MISDIRECTED_REQUEST' }],
      `Host: ${host}`,
    )
    for (const path of ['/health', '/health/live', '/health/ready?x'])
      t.not((await rawRequest(base, path, { host })).status, 421, `a probe of ${path} by Host: ${host}`)
    for (const path of ['/', '/docs', '/openapi.json', '/health/', '/health/live/x', '//health'])
      t.equal((await rawRequest(base, path, { host })).status, 421, `${path} by Host: ${host}`)
    t.equal(await upgrade(base, '/ws', { host, authorization }), 421, `upgrade with Host: ${host}`)
  }
  for (const origin of [
    'https://evil.example',
    'null',
    `http://evil.example:${port}`,
    `http://127.0.0.1:${Number(port) - 1}`,
  ]) {
    const answer = await rawRequest(base, '/executions', { origin, authorization })
    t.match([answer.status, JSON.parse(answer.body)], [403, { status: 403, code: 'FORBIDDEN' }], `Origin: ${origin}`)
    t.equal(await upgrade(base, '/ws', { origin, authorization }), 403, `upgrade with Origin: ${origin}`)
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
    t.equal((await rawRequest(base, '/health', { host })).status, 200, host)
  for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`, 'https://console.example']) {
    t.equal((await rawRequest(base, '/executions', { origin, authorization })).status, 200, origin)
    for (const path of ['/ws', '/ws/mcp'])
      t.equal(await upgrade(base, path, { origin, authorization }), 101, `${path} from ${origin}`)
  }
  const admitted = await rawRequest(base, '/executions', { origin: 'https://console.example', authorization })
  t.equal(admitted.headers['access-control-allow-origin'], 'https://console.example')
  t.match(admitted.headers['access-control-expose-headers'], /idempotent-replayed, preference-applied/)
  const preflight = await service.call('OPTIONS', `/executions/${UNKNOWN}`, {
    headers: { origin: 'https://console.example', 'access-control-request-method': 'DELETE' },
  })
  t.match([preflight.status, preflight.headers.get('access-control-allow-methods')], [204, /DELETE/])
  t.equal(await upgrade(base, '/ws', {}), 401, 'a socket without a token')
  t.equal(await upgrade(base, '/ws', { authorization }), 101)
})

void t.test('the service tells of itself: queue, health, readiness, authentication', async (t) => {
  t.match((await call('GET', '/queue')).body, {
    depth: 0,
    byPriority: { low: 0, normal: 0, high: 0 },
    capacity: 4,
    workers: [{ concurrency: 4, draining: false }],
    estimatedWaitSeconds: 0,
    estimatedStartAt: String,
    estimateSamples: Number,
  })
  t.match((await call('GET', '/usage?groupBy=day,model')).body, {
    rows: Array,
    total: { executions: Number },
    basis: 'cli_estimate',
  })
  t.match((await call('GET', '/estimates?prompt=never+seen&model=none')).body, {
    timeoutSeconds: Number,
    samples: Number,
    level: String,
  })
  for (const path of ['/health', '/health/live'])
    t.match((await call('GET', path, { as: 'nobody' })).body, {
      status: 'ok',
      service: 'cc-executor',
      version: String,
      simulated: true,
    })
  const ready = await call('GET', '/health/ready', { as: 'nobody' })
  t.match(
    [ready.status, ready.body],
    [
      200,
      {
        status: 'ok',
        parts: {
          redis: { status: 'ok' },
          workers: { count: 1 },
          claude: { version: '2.1.197', authentication: { method: 'simulated' } },
        },
      },
    ],
  )
  const [worker] = (await call('GET', '/queue')).body.workers
  const names = new RegExp(`${worker.host}|${worker.id}|(?<![\\w.])/[\\w.-]+`)
  for (const as of ['nobody', 'runner'] as const) {
    const { text, body } = await call('GET', '/health/ready', { as })
    t.notMatch(text, names, as)
    const parts = Object.values(body.parts as Record<string, { message: string }>)
    t.same(new Set(parts.map(({ message }) => message)), new Set(['in order']), `${as}: no word that is the operator’s`)
  }
  t.match(
    (await call('GET', '/health/ready')).body.parts.containment.message,
    /bubblewrap|contained/,
    'with a token all is told',
  )
  t.match((await call('GET', '/auth/status')).body, {
    authenticated: true,
    workers: [{ credential: 'simulated', authentication: { method: 'simulated' } }],
  })
})

void t.test('the documents: OpenAPI that is valid, and a page that needs no other host', async (t) => {
  const page = await call('GET', '/docs', { as: 'nobody' })
  t.equal(page.status, 200)
  t.match(page.headers.get('content-security-policy'), /default-src 'self'/)
  const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address)
  t.ok(addresses.length > 2)
  t.same(
    addresses.filter((address) => /^(?:https?:)?\/\//.test(address)),
    [],
    'nothing from elsewhere',
  )
  for (const address of addresses)
    t.equal(
      (await call('GET', new URL(address, `${service.url()}/docs/`).pathname, { as: 'nobody' })).status,
      200,
      address,
    )
  const { valid, errors } = await new Validator().validate(structuredClone(bare.document))
  t.ok(valid, JSON.stringify(errors))
  t.match(bare.document, { openapi: '3.1.0', paths: { '/execute': {}, '/executions/{id}/events': {} } })
  t.match(
    bare.document,
    {
      paths: {
        '/execute': { post: { requestBody: { required: true } } },
        '/executions/{id}/cancel': { post: { requestBody: { required: false } } },
      },
    },
    'a body that demands nothing may be left out',
  )
})

void t.test('with --open nobody is asked for a token, and Host and Origin still are', async (t) => {
  await service.openApi({ CC_EXECUTOR_AUTH: 'open' })
  const base = service.url(service.apis.length - 1)
  const made = await bare.call('POST', '/execute', { body: { prompt: 'open' }, api: service.apis.length - 1 })
  t.equal(made.status, 202)
  t.equal((await call('GET', `/executions/${made.body.id}`)).status, 404, 'what is open is not alice’s')
  t.equal(await upgrade(base, '/ws/mcp', {}), 101)
  t.equal(await upgrade(base, '/ws/mcp', { origin: 'https://evil.example' }), 403)
  t.equal((await rawRequest(base, '/executions', { host: 'evil.example' })).status, 421)
})

void t.test('without a worker the service accepts, and says what is missing', async (t) => {
  const alone = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_MAX_QUEUE: '2' } })
  const ready = await alone.call('GET', '/health/ready')
  t.match(
    [ready.status, ready.body],
    [
      503,
      {
        status: 'failed',
        parts: { redis: { status: 'ok' }, workers: { status: 'failed', count: 0, message: /npm start/ } },
      },
    ],
  )
  t.match(ready.headers.get('retry-after'), /^\d+$/)
  t.match((await alone.call('GET', '/auth/status')).body, { authenticated: false, workers: [], remedy: /npm start/ })
  t.equal((await alone.call('GET', '/health')).status, 200)
  const { id } = await alone.submit({ prompt: 'x' })
  for (const control of ['pause', 'resume'])
    t.match((await alone.call('POST', `/executions/${id}/${control}`)).body, { status: 409, code: 'NOT_RUNNING' })
  t.match((await alone.call('GET', `/executions/${id}/result`)).body, { code: 'NOT_FINISHED' })
  await alone.submit({ prompt: 'y' })
  const full = await alone.call('POST', '/execute', { body: { prompt: 'z' } })
  t.match(full.body, { status: 429, code: 'QUEUE_FULL', retryable: true })
  t.match(full.headers.get('retry-after'), /^\d+$/)
  t.match((await alone.call('GET', '/queue')).body, { depth: 2, maxDepth: 2, capacity: 0, estimatedWaitSeconds: null })
  t.match((await alone.call('POST', `/executions/${id}/cancel`)).body, { status: 'cancelled' })
  t.equal((await alone.call('DELETE', `/executions/${id}`)).status, 204)
})

void t.test('a receipt, its check and the keys', async (t) => {
  const { id } = await run({ prompt: 'for the record' })
  const receipt = await call('GET', `/executions/${id}/receipt`)
  t.match([receipt.status, receipt.body], [200, { executionId: id, outcome: { status: 'succeeded' } }])
  t.match((await call('POST', '/receipts/verify', { body: { receipt: receipt.text } })).body, {
    valid: true,
    mismatches: [],
  })
  t.match((await call('GET', '/receipts/keys')).body, { keys: [{ kid: String }] })
})

void t.test('the files that a run left, listed, one by one and together', async (t) => {
  const result = { line: { type: 'result', is_error: false, subtype: 'success', result: 'made' } }
  const { id } = await run({ prompt: JSON.stringify([{ tool: 'printf made > made.bin' }, result]) })
  t.match((await call('GET', `/executions/${id}/files`)).body, {
    created: 1,
    files: [{ path: 'made.bin', change: 'created', content: 'kept' }],
  })
  t.match(await call('GET', `/executions/${id}/files/made.bin`), { status: 200, text: 'made' })
  t.match(await call('GET', `/executions/${id}/files/nothing`), { status: 404, body: { code: 'FILE_NOT_FOUND' } })
  t.match(await call('GET', `/executions/${id}/files.tar.gz`), { status: 200 })
})

void t.test('of every operation that the document has, an answer was seen and held against it', async (t) => {
  // The rest of it is the command line's: test/cli/here.test.ts.
  t.match(await call('POST', '/workspaces/admissions', { body: {} }), {
    status: 400,
    body: { code: 'INVALID_REQUEST' },
  })
  t.match(await call('GET', '/workspaces/admissions'), { status: 200, body: { admissions: [] } })
  t.match(await call('DELETE', '/workspaces/admissions/nothing'), {
    status: 404,
    body: { code: 'WORKSPACE_NOT_FOUND' },
  })
  const operations = Object.entries(bare.document['paths'] as Record<string, Record<string, unknown>>).flatMap(
    ([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  t.same(
    operations.filter((operation) => ![...bare.checked].some((seen) => seen.startsWith(`${operation} `))),
    [],
  )
})
