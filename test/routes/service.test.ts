// Who may ask the service, by which words of HTTP, and what it says of itself.
import { Validator } from '@seriousme/openapi-schema-validator'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { readConfig } from '../../src/platform/config.js'
import { describeConfig } from '../../src/platform/describe-config.js'
import type { Setting } from '../../src/protocol/settings.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { untilInTime } from '../support/longer-clocks.js'
import { TOKENS, UNKNOWN, openRest, rawRequest, upgrade } from './scene.js'
import { once, until } from '../support/deadlines.js'

const { service, bare, call, run, held } = await openRest(t)

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
  const made = await call('POST', '/execute', { as: 'runner', body: { prompt: 'x' } })
  t.equal(made.status, 202)
  t.equal(
    (await call('GET', '/queue', { as: 'nobody', headers: { authorization: `bearer ${TOKENS.alice}` } })).status,
    200,
    'the scheme has no case',
  )
})

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
  // A peer that takes no leave is waited for for half a second: a machine that is held up for so long comes too late.
  const answer = await untilInTime(async () => {
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
    let said = ''
    const read = async (): Promise<void> => {
      for await (const chunk of late) said += String(chunk)
    }
    await read().catch(() => undefined)
    late.destroy()
    await closing
    deaf.destroy()
    return said === '' ? undefined : said
  })
  t.match(answer, /^HTTP\/1\.1 503 /)
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

void t.test('the service tells of itself: queue, health, readiness, authentication', async (t) => {
  await until(async () => (await call('GET', '/queue')).body.depth === 0, 'what others have submitted has begun')
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

void t.test('GET /config tells each setting with its origin, and no secret', async (t) => {
  const { status, text, body } = await call('GET', '/config')
  t.equal(status, 200)
  const settings = new Map<string, Setting>(body.settings.map((setting: Setting) => [setting.name, setting]))
  t.same(
    [...settings.keys()],
    describeConfig(readConfig({ HOME: '/nonexistent' })).map(({ name }) => name),
  )
  t.match(settings.get('CC_EXECUTOR_CLAUDE_BIN'), { value: SCRIPTED_CLI, origin: 'environment', isMasked: false })
  t.match(settings.get('CC_EXECUTOR_TOKENS'), { value: '***', origin: 'environment', isMasked: true })
  t.match(settings.get('CC_EXECUTOR_MAX_QUEUE'), { value: '10000', origin: 'default', description: /QUEUE_FULL/ })
  t.match(settings.get('CC_EXECUTOR_MAX_BUDGET_USD'), { value: null, origin: 'default' })
  for (const token of Object.values(TOKENS)) t.notOk(text.includes(token))
  t.match((await call('GET', '/config', { as: 'reader' })).body, { status: 403, detail: /admin/ })
  t.same(
    describeConfig(
      readConfig({ HOME: '/nonexistent', OTEL_EXPORTER_OTLP_ENDPOINT: 'https://me:hidden@collector.example' }),
    ).flatMap(({ origin, value }) => (origin === 'default' ? [] : [value])),
    ['https://…@collector.example'],
    'nor one in an address',
  )
})

void t.test('the documents: OpenAPI that is valid, and a page that needs no other host', async (t) => {
  const page = await call('GET', '/docs', { as: 'nobody' })
  t.equal(page.status, 200)
  // Word for word what helmet 8 sends with this policy.
  const safe = {
    'content-security-policy':
      "default-src 'self';img-src 'self' data:;style-src 'self' 'unsafe-inline';script-src 'self';" +
      "connect-src 'self';frame-ancestors 'none';base-uri 'none';form-action 'self'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'origin-agent-cluster': '?1',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'x-download-options': 'noopen',
    'x-frame-options': 'SAMEORIGIN',
    'x-permitted-cross-domain-policies': 'none',
    'x-xss-protection': '0',
  }
  for (const { headers } of [page, await call('GET', '/executions'), await call('GET', '/none')])
    t.match(Object.fromEntries(headers), safe)
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

/** What an operation needs beside its path; DELETE of the execution comes last. */
const BODIES: Record<string, (receipt: string) => unknown> = {
  'POST /execute': () => ({ prompt: 'x' }),
  'POST /executions': () => ({ prompt: 'x' }),
  'POST /receipts/verify': (receipt) => ({ receipt }),
  // The rest of it is the command line's: test/cli/here.test.ts.
  'POST /workspaces/admissions': () => ({}),
}

void t.test('of every operation that the document has, an answer is seen and held against it', async (t) => {
  const result = { line: { type: 'result', is_error: false, subtype: 'success', result: 'made' } }
  const { id } = await run({ prompt: JSON.stringify([{ tool: 'printf made > made.bin' }, result]) })
  const receipt = (await call('GET', `/executions/${id}/receipt`)).text
  const operations = Object.entries(bare.document['paths'] as Record<string, Record<string, unknown>>).flatMap(
    ([path, methods]) => Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
  )
  const isLast = ([method, path]: readonly [string, string]): boolean =>
    method === 'DELETE' && path === '/executions/{id}'
  bare.checked.clear()
  for (const [method, path] of [...operations.filter((one) => !isLast(one)), ...operations.filter(isLast)]) {
    const query = path === '/estimates' ? '?prompt=x' : ''
    const body = BODIES[`${method} ${path}`]?.(receipt)
    await call(
      method,
      path.replace('{id}', id).replace('{path}', 'made.bin') + query,
      body === undefined ? {} : { body },
    )
  }
  const expected = operations.filter(
    ([method, path]) => ![...bare.checked].some((one) => one.startsWith(`${method} ${path} `)),
  )
  t.same(expected, [], 'each was asked')
  const isAnswered = (status: string): boolean => /^(?:2|400|404|409)/.test(status)
  t.same(
    [...bare.checked].filter((one) => !isAnswered(one.split(' ').at(-1) ?? '')),
    [],
    'and answered',
  )
})
