// What stands between a client and the service: caches, proxies that drop the upgrade, hosts that are not admitted.
import { createServer, request, type IncomingHttpHeaders } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { readConfig } from '../../src/platform/config.js'
import { openClient } from '../../src/client/open-client.js'
import type { Event } from '../../src/protocol/events.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { isConsoleBuilt } from '../../routes/console.js'
import { openTestService, type TestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
const RESULT = { line: { type: 'result', subtype: 'success', is_error: false, result: 'over' } }
const UNKNOWN = '01900000-0000-7000-8000-000000000000'

/** As many proxies are set up: hop-by-hop headers end here, and nothing puts `Upgrade` back. */
async function openPlainProxy(t: Test, target: string): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const { connection: _connection, upgrade: _upgrade, ...headers } = incoming.headers
    const onward = request(target + (incoming.url ?? ''), {
      method: incoming.method,
      headers: { ...headers, host: new URL(target).host },
      agent: false,
    })
    onward.on('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
    outgoing.on('close', () => onward.destroy())
  }).listen(0, '127.0.0.1')
  // A request with Upgrade is a request like any other to such a proxy.
  server.on('upgrade', (incoming, socket) => {
    const onward = request(target + (incoming.url ?? ''), {
      headers: { host: new URL(target).host, authorization: incoming.headers.authorization },
      agent: false,
    })
    onward.on('response', (response) => {
      const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${String(value)}`)
      socket.write(`HTTP/1.1 ${response.statusCode} \r\n${lines.join('\r\n')}\r\n\r\n`)
      response.pipe(socket)
    })
    onward.end()
  })
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('no shared cache keeps an answer, and one that is negotiated says by what', async (t) => {
  const { id } = await service.finished((await service.submit({ prompt: 'Say hello' })).id)
  const paths: Array<[string, string | null]> = [
    ['/health', null],
    ['/health/ready', null],
    ['/auth/status', null],
    ['/queue', null],
    ['/usage', null],
    ['/executions', 'Accept'],
    [`/executions/${id}`, null],
    [`/executions/${id}/result`, 'Accept'],
    [`/executions/${id}/events`, 'Accept'],
    [`/executions/${id}/receipt`, 'Accept'],
    [`/executions/${id}/files`, null],
    [`/executions/${UNKNOWN}`, null],
    ['/nowhere', null],
    ['/ws', null],
    ['/%', null],
  ]
  for (const [path, vary] of paths) {
    const { headers } = await service.call('GET', path)
    t.equal(headers.get('cache-control'), 'no-store', path)
    if (vary !== null) t.equal(headers.get('vary'), vary, `${path} depends on ${vary}`)
  }
  const stranger = await fetch(`${service.url()}/executions/${id}`)
  t.match([stranger.status, stranger.headers.get('cache-control')], [401, 'no-store'])
  const stream = await service.call('GET', `/executions/${id}/events`, { headers: { accept: 'text/event-stream' } })
  t.match(stream.headers.get('cache-control'), /no-store/, 'a stream too')
  t.equal(stream.headers.get('vary'), 'Accept')
})

void t.test('of the parameters of Accept only q counts', async (t) => {
  const { id } = await service.finished((await service.submit({ prompt: 'Say hello' })).id)
  const typeOf = async (accept: string): Promise<string | number> => {
    const answer = await service.call('GET', `/executions/${id}/events`, { headers: { accept } })
    return answer.status === 200 ? (answer.headers.get('content-type') ?? '').replace(/;.*/, '') : answer.status
  }
  const [json, stream, lines] = ['application/json', 'text/event-stream', 'application/x-ndjson']
  const cases: Array<[string, string | number]> = [
    ['application/json;charset=utf-8', json],
    ['application/json; charset="utf-8"', json],
    ['text/event-stream;x=1', stream],
    ['text/event-stream; charset=utf-8, */*;q=0.1', stream],
    ['application/x-ndjson;v=1;q=0.9, application/json;q=0.8', lines],
    ['application/json;q=0.5;v=1, text/event-stream ; x="a,b;q=0" ; Q=0.6', stream],
    ['application/signed-exchange;v=b3;q=0.7, */*;v=b3;q=0.2', json],
    ['text/*;level=1', stream],
    ['application/json;q=0;charset=utf-8', 406],
    ['application/xml;charset=utf-8', 406],
  ]
  for (const [accept, expected] of cases) t.equal(await typeOf(accept), expected, accept)
})

void t.test('a wait ends before the proxies do, and says so', async (t) => {
  const prefer = (seconds: number) =>
    service.call('POST', '/execute', { body: { prompt: 'Say hello' }, headers: { prefer: `wait=${seconds}` } })
  const [asked, short] = await Promise.all([prefer(60), prefer(20)])
  t.match([asked.status, asked.headers.get('preference-applied')], [200, 'wait=55'])
  t.match([short.status, short.headers.get('preference-applied')], [200, 'wait=20'])
  const { id } = asked.body
  t.equal((await service.call('GET', `/executions/${id}/result?waitSeconds=60`)).status, 200, '60 is accepted')
  t.equal((await service.call('GET', `/executions/${id}/result?waitSeconds=61`)).status, 400)
})

void t.test('426 for a WebSocket’s path without an upgrade, before a token is asked for', async (t) => {
  for (const path of ['/ws', '/ws/mcp']) {
    const answer = await fetch(service.url() + path)
    t.match(
      [answer.status, answer.headers.get('upgrade'), (await answer.json()) as Record<string, unknown>],
      [426, 'websocket', { code: 'UPGRADE_REQUIRED', retryable: false, detail: /proxy/ }],
      path,
    )
  }
  const headers = { host: 'elsewhere.example' }
  const refused = request(`${service.url()}/ws`, { headers }).end()
  const [response] = (await once(refused, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  t.equal(response.statusCode, 421, 'the Host is looked at first')
})

void t.test('where a proxy lets no WebSocket through, the client goes on by SSE and says so', async (t) => {
  const client = openClient({ url: await openPlainProxy(t, service.url()), token: service.token })
  t.teardown(() => client.close())
  const prompt = JSON.stringify([{ ticks: 12, everyMs: 20 }, RESULT])
  const follow = async (id: string, types?: ['execution.started', 'progress']) => {
    const told: string[] = []
    const events: Event[] = []
    for await (const event of client.follow(id, { types, onFallback: ({ code }) => told.push(code) }))
      events.push(event)
    return { told, events }
  }
  const { id } = await client.execute({ prompt })
  const { told, events } = await follow(id)
  t.same(told, ['UPGRADE_REQUIRED'], 'told once')
  t.same(events, await service.events(id), 'every event, once and in order')
  t.same((await follow(id)).told, [], 'not tried again')
  t.same(
    (await follow(id, ['execution.started', 'progress'])).events,
    events.filter(({ type }) => type === 'execution.started' || type === 'progress'),
    'a filter whose last event is not the terminal one ends too',
  )
  await t.rejects(follow(UNKNOWN), { code: 'EXECUTION_NOT_FOUND', status: 404 })
})

void t.test('an event stream or a page in parts that a client can take', async (t) => {
  const content = [{ type: 'text', text: 'long \u2028 '.repeat(1_000) }]
  const prompt = JSON.stringify([{ line: { type: 'assistant', message: { id: 'm1', content } } }, RESULT])
  const { id } = await service.finished((await service.submit({ prompt })).id)
  const ask = (accept: string, query: string) =>
    service.call('GET', `/executions/${id}/events?${query}`, { headers: { accept } })
  const lines = (await ask('text/event-stream', 'maxEventBytes=512')).text
    .split(/[\n\u0085\u2028\u2029]/)
    .flatMap((line) => (line.startsWith('data: ') ? [line.slice('data: '.length)] : []))
  t.ok(lines.every((line) => Buffer.byteLength(line) <= 512))
  t.ok(lines.some((line) => (JSON.parse(line) as { truncatedBytes?: number }).truncatedBytes))
  t.same(
    lines,
    (await ask('application/json', 'maxEventBytes=512&limit=1000')).body.events.map((event: object) =>
      JSON.stringify(event).replaceAll('\u2028', String.raw`\u2028`),
    ),
  )
  const whole = (await ask('application/x-ndjson', 'maxEventBytes=512')).text
    .split(/[\n\u0085\u2028\u2029]/)
    .slice(0, -1)
  t.same(
    whole.map((line) => JSON.parse(line) as unknown),
    await service.events(id),
    'an export holds them whole, one a line for everybody',
  )
  t.match((await ask('text/event-stream', 'maxEventBytes=255')).body, {
    status: 400,
    errors: [{ path: 'maxEventBytes' }],
  })
})

void t.test('under a path prefix, which the proxy strips or leaves', async (t) => {
  const { url, close } = await service.openApi({ CC_EXECUTOR_BASE_PATH: '/cc' })
  t.teardown(close)
  const headers = { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ prompt: 'Say hello' })
  for (const prefix of ['', '/cc']) {
    const base = url + prefix
    const answer = await fetch(`${base}/execute`, { method: 'POST', headers, body })
    const { id } = (await answer.json()) as { id: string }
    t.match([answer.status, answer.headers.get('location')], [202, `/cc/executions/${id}`])
    const { servers } = (await (await fetch(`${base}/openapi.json`)).json()) as { servers: unknown }
    t.same(servers, [{ url: '/cc' }])
    const docs = await fetch(`${base}/docs?x=1`, { redirect: 'manual' })
    t.match([docs.status, docs.headers.get('location')], [302, './docs/?x=1'], 'relative, for whatever is in front')
    const page = await (await fetch(`${base}/docs/`)).text()
    const [, script = ''] = /src="([^"]*swagger-initializer\.js)"/.exec(page) ?? []
    t.equal((await fetch(new URL(script, `${base}/docs/`))).status, 200)
    const first = await fetch(`${base}/`, { redirect: 'manual' })
    const place = isConsoleBuilt() ? '/cc/console/' : '/cc/docs/'
    t.match([first.status, first.headers.get('location')], [302, place])
    t.ok((await first.text()).includes(place), 'and its text says so')
    const client = openClient({ url: base, token: service.token })
    const types: string[] = []
    for await (const { type } of client.follow(id, { onFallback: t.fail })) types.push(type)
    client.close()
    t.equal(types.at(-1), 'execution.finished', 'the WebSocket too')
  }
  t.equal((await fetch(`${url}/ccc/health`, { headers })).status, 404)
  for (const wrong of ['cc', '/cc/', '/c c'])
    t.throws(() => readConfig({ CC_EXECUTOR_BASE_PATH: wrong }), { message: /^CC_EXECUTOR_BASE_PATH: expected a path/ })
})

void t.test('a prefix that begins as one of the service’s own paths is refused: it could mean either', async (t) => {
  for (const prefix of ['/executions', '/execute/one', '/docs', '/ws', '/openapi.json', '/workspaces'])
    await t.rejects(service.openApi({ CC_EXECUTOR_BASE_PATH: prefix }), {
      message: `CC_EXECUTOR_BASE_PATH: ${prefix.split('/', 2).join('/')} is reserved for paths of the service; choose another prefix, such as /cc.`,
    })
})

void t.test('a Host that is not admitted is told in the service’s own words', async (t) => {
  const client = openClient({ url: await openForeignFront(t, service), token: service.token })
  t.teardown(() => client.close())
  await t.rejects(client.execute({ prompt: 'Say hello' }), {
    code: 'MISDIRECTED_REQUEST',
    status: 421,
    detail: /CC_EXECUTOR_ALLOWED_HOSTS/,
  })
})

/** Another port than the service's own: a tunnel, as far as the Host header goes. */
async function openForeignFront(t: Test, { url }: TestService): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    // Safe: a request that came over a connection has them.
    const headers: IncomingHttpHeaders = incoming.headers
    const onward = request(url() + (incoming.url ?? ''), { method: incoming.method, headers, agent: false })
    onward.on('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(outgoing)
    })
    incoming.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('what Fastify would check and write with by itself is not loaded', async (t) => {
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  t.same(
    loaded.filter((path) => /@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)\//.test(path)),
    [],
  )
})
