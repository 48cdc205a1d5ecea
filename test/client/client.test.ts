// The client as programs use it: against a real service, through a network that fails, and against a peer that floods
// it.
import { getEventListeners } from 'node:events'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { ClientError } from '../../src/client/client-error.js'
import { openClient, type Client, type ClientOptions } from '../../src/client/open-client.js'
import { createSharedSocket } from '../../src/client/shared-socket.js'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import { scripted } from '../support/environment.js'
import { amidCollections } from '../support/garbage.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { findLastingPort } from '../support/ports.js'
import { openTestService } from '../support/service.js'
import { once, until } from '../support/deadlines.js'

t.jobs = 2

/** With the scripted CLI: what the model says is no matter of the client. */
const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
const answer = { line: { type: 'result', subtype: 'success', is_error: false, result: 'Bye.' } }
const SHORT = JSON.stringify([{ ticks: 4, everyMs: 0 }, answer])
const HANGING = JSON.stringify([{ ticks: 1, everyMs: 0 }, { hang: true }])
/** Some three seconds of text, in pieces that this process gives out. */
const LONG = scripted({ text: 'one two three four five '.repeat(20), chunks: 60, delayMs: 50 })

function open(t: Test, options: ClientOptions): Client {
  const client = openClient(options)
  t.teardown(() => client.close())
  return client
}

async function collect(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = []
  for await (const event of events) all.push(event)
  return all
}

const failure = (promise: Promise<unknown>): Promise<ClientError> =>
  promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => {
      if (error instanceof ClientError) return error
      throw error
    },
  )

/** A network in between, which can be cut. */
async function openProxy(t: Test) {
  const sockets = new Set<Socket>()
  let target = 0
  let opened = 0
  const server = createServer((incoming) => {
    opened += 1
    const outgoing = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => sockets.forEach((socket) => socket.destroy())
  t.teardown(() => {
    cut()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}`, cut, lead: (to: number) => void (target = to), opened: () => opened }
}

void t.test('submits, reads, steers and forgets over REST', async (t) => {
  const client = open(t, { url: `${service.url()}/`, token: service.token })

  t.match(await client.health(), { status: 'ok', service: 'cc-executor' })
  t.match(await client.ready(), { parts: { redis: { status: 'ok' } } })
  t.match(await client.queue(), { depth: Number, capacity: 4 })
  t.match(await client.auth(), { authenticated: true })

  const ended = await client.execute({ prompt: SHORT, metadata: { team: 'docs' } }, { wait: 60, idempotencyKey: 'one' })
  t.match(ended, { status: 'succeeded', outcome: { result: 'Bye.' } })
  t.equal(
    (await client.execute(ended.request, { idempotencyKey: 'one' })).id,
    ended.id,
    'the same key gives the same execution',
  )
  t.same(await client.get(ended.id), ended)
  t.equal(await client.result(ended.id), 'Bye.')
  t.same(
    (await client.list({ status: ['succeeded', 'failed'], metadata: { team: 'docs' } })).executions.map(({ id }) => id),
    [ended.id],
  )
  t.same((await client.list({ metadata: { team: 'other' } })).executions, [])

  const running = await client.execute({ prompt: HANGING })
  t.match(await failure(client.result(running.id)), { code: 'NOT_FINISHED', status: 409, retryable: true })
  await service.until(running.id, 'execution.started')
  t.match(await client.pause(running.id), { id: running.id })
  t.match(await client.resume(running.id), { id: running.id })
  const sent = await client.send(running.id, { text: 'And now?' }, { idempotencyKey: 'a message' })
  t.match(sent, { executionId: running.id, delivery: 'steer', text: 'And now?' })
  t.equal((await client.send(running.id, { text: 'And now?' }, { idempotencyKey: 'a message' })).id, sent.id)
  t.same(
    (await client.messages(running.id)).map(({ id }) => id),
    [sent.id],
  )
  await client.cancel(running.id, { reason: 'enough' })
  const cancelled = await failure(client.result(running.id, { wait: 60 }))
  t.match(cancelled, { code: 'CANCELLED', status: 422, outcome: { status: 'cancelled' } })
  const asked = (await service.events(running.id)).find(({ type }) => type === 'execution.cancel_requested')
  t.match(asked, { data: { reason: 'enough' } })

  await client.delete(ended.id)
  t.match(await failure(client.get(ended.id)), {
    code: 'EXECUTION_NOT_FOUND',
    status: 404,
    retryable: false,
    requestId: /./,
  })
  // Strict requests name what they do not know.
  t.match(await failure(client.execute({ prompt: 'x', modle: 'y' } as never)), {
    code: 'INVALID_REQUEST',
    status: 400,
    errors: [{ path: 'modle' }],
  })
})

void t.test('follows to the terminal event: all of it, from a cursor, by type, several on one WebSocket', async (t) => {
  const proxy = await openProxy(t)
  const api = await service.openApi({ CC_EXECUTOR_ALLOWED_HOSTS: `127.0.0.1:${proxy.port}` })
  proxy.lead(api.address.port)
  const submitter = open(t, { url: service.url(), token: service.token })
  const client = open(t, { url: proxy.url, token: service.token })
  const { id } = await submitter.execute({ prompt: SHORT })
  const [all, rest, texts] = await Promise.all([
    collect(client.follow(id)),
    collect(client.follow(id, { after: 2 })),
    collect(client.follow(id, { types: ['text.delta'] })),
  ])
  const log = await service.events(id)
  t.same(all, log)
  t.same(rest, log.slice(2))
  t.same(
    texts,
    log.filter(({ type }) => type === 'text.delta'),
    'a filter ends with the log, although its last event is left out',
  )
  t.equal(proxy.opened(), 1, 'one connection')
  t.same(await collect(client.follow(id, { after: log.length })), [], 'nothing is left behind the end')

  for await (const event of client.follow(id)) if (event.seq === 2) break
  t.same(await collect(client.follow(id)), log, 'one that was left early leaves nothing behind')

  t.match(await failure(collect(client.follow('019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'))), {
    code: 'EXECUTION_NOT_FOUND',
    status: 404,
  })
  const stranger = open(t, { url: service.url(), token: 'nobody-knows-this-token' })
  t.match(
    await failure(collect(stranger.follow(id))),
    { code: 'UNAUTHENTICATED', status: 401 },
    'a refused upgrade says why',
  )
  t.match(await failure(stranger.get(id)), { code: 'UNAUTHENTICATED', status: 401 })
})

void t.test('goes on by its cursor while APIs come and go on one port', async (t) => {
  const port = await findLastingPort()
  let api = await service.openApi({ CC_EXECUTOR_PORT: String(port) })
  const client = open(t, { url: api.url, token: service.token })
  const go = (which: number): string => join(service.directory, `go-on-${which}`)
  const piece = { ticks: 8, everyMs: 0 }
  const { id } = await client.execute({
    prompt: JSON.stringify([piece, { file: go(0) }, piece, { file: go(1) }, piece, answer]),
  })
  const interruptions: ClientError[] = []
  const events: Event[] = []
  const following = (async () => {
    for await (const event of client.follow(id, { onInterrupted: (error) => interruptions.push(error) }))
      events.push(event)
  })()
  for (const which of [0, 1]) {
    const isTick = ({ type }: Event): boolean => type === 'text.delta'
    await until(() => events.filter(isTick).length === 8 * (which + 1), 'all is there that is said before')
    await api.close()
    await until(() => interruptions.length > which, 'the loss is seen')
    // The run waits for both to be back.
    api = await service.openApi({ CC_EXECUTOR_PORT: String(port) })
    await writeFile(go(which), '')
  }
  await following
  t.equal(interruptions.length, 2)
  t.match(interruptions[0], { code: 'UNREACHABLE', retryable: true })
  t.equal(events.at(-1)?.type, 'execution.finished')
  t.same(events, await service.events(id), 'no gap, no duplicate')
  t.match(await client.get(id), { status: 'succeeded' })
})

void t.test('goes on by its cursor however often the network is cut', async (t) => {
  const service = await openTestService(t)
  const proxy = await openProxy(t)
  const api = await service.openApi({ CC_EXECUTOR_ALLOWED_HOSTS: `127.0.0.1:${proxy.port}` })
  proxy.lead(api.address.port)
  const client = open(t, { url: proxy.url, token: service.token })
  const { id } = await client.execute({ prompt: LONG })
  const follow = async (every: number): Promise<Event[]> => {
    const events: Event[] = []
    for await (const event of client.follow(id)) {
      events.push(event)
      if (event.seq % every === 0) proxy.cut()
    }
    return events
  }
  const [one, other] = await Promise.all([follow(7), follow(11)])
  const log = await service.events(id)
  t.same(one, log)
  t.same(other, log)
  t.ok(proxy.opened() > 5, `${proxy.opened()} connections`)
})

void t.test('ends by a signal, by close and by patience', async (t) => {
  const proxy = await openProxy(t)
  const api = await service.openApi({ CC_EXECUTOR_ALLOWED_HOSTS: `127.0.0.1:${proxy.port}` })
  proxy.lead(api.address.port)
  const client = open(t, { url: proxy.url, token: service.token, patienceSeconds: 0.5 })
  const { id } = await client.execute({ prompt: HANGING })

  const abort = new AbortController()
  for await (const event of client.follow(id, { signal: abort.signal }))
    if (event.type === 'execution.started') abort.abort()
  t.pass('a signal ends it quietly')
  t.same(await collect(client.follow(id, { signal: abort.signal })), [], 'also before it begins')
  t.ok(
    (
      await amidCollections(
        collect(client.follow(id, { signal: AbortSignal.timeout(1_000), types: ['execution.queued'] })),
      )
    ).length < 2,
    'also one that nobody else holds',
  )

  const lost = failure(collect(client.follow(id, { after: 1 })))
  const before = client.follow(id, { after: 1 })
  await before.next()
  proxy.lead(await findLastingPort())
  proxy.cut()
  t.match(await lost, { code: 'UNREACHABLE' }, 'patience has an end')
  await before.return()

  const other = openClient({ url: service.url(), token: service.token })
  const events = other.follow(id)
  await events.next()
  const ended = failure(collect(events))
  other.close()
  t.match(await ended, { code: 'CLIENT_CLOSED' })
  t.match(await failure(other.get(id)), { code: 'CLIENT_CLOSED' })
})

void t.test('an execution that is deleted while its last events wait ends the following', async (t) => {
  const client = open(t, { url: service.url(), token: service.token })
  const { id } = await client.execute({ prompt: SHORT }, { wait: 60 })
  await client.delete(id)
  t.match(await failure(collect(client.follow(id, { after: 1 }))), { code: 'EXECUTION_NOT_FOUND' })
})

void t.test('says in one sentence what it did not reach', async (t) => {
  const port = await findLastingPort()
  const client = open(t, { url: `http://127.0.0.1:${port}` })
  const sentence =
    `CC Executor cannot be reached at http://127.0.0.1:${port}: nothing listens there ` +
    '(ECONNREFUSED). Start it, or check the address.'
  t.match(await failure(client.health()), { code: 'UNREACHABLE', status: 0, retryable: true, message: sentence })
  t.match(
    await failure(collect(client.follow('019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'))),
    { code: 'UNREACHABLE', message: sentence },
    'at once, as it never answered',
  )

  const server = createServer((socket) =>
    socket
      .on('error', () => undefined)
      .end('HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno'),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const strange = open(t, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  t.match(await failure(strange.health()), { code: 'BAD_ANSWER', status: 404, retryable: false })
  t.match(await failure(collect(strange.follow('x'))), { code: 'BAD_ANSWER', status: 404 })

  for (const url of [
    'localhost:8001',
    'ws://localhost',
    'http://',
    'http://me:secret@localhost',
    'http://localhost/?a=b',
  ])
    t.throws(() => openClient({ url }), { code: 'INVALID_REQUEST', message: /^(?!.*secret)/ })
  t.throws(() => openClient({ url: 'http://localhost', token: 'line\nfeed' }), {
    code: 'UNAUTHENTICATED',
    message: /^(?!.*feed)/,
  })
})

/** A service that sends as fast as the socket takes it, and remembers what was asked of it. */
async function openFlood(t: Test, total: number) {
  const subscribed: number[] = []
  const unsubscribed: string[] = []
  const sent = { seq: 0 }
  let count = 0
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  server.on('connection', (socket: WebSocket) => {
    socket.on('message', (data: Buffer) => {
      const { id, method, params } = JSON.parse(data.toString()) as {
        id: number
        method: string
        params: { after: number; executionId: string; subscriptionId: string }
      }
      if (method === 'execution.unsubscribe') return void unsubscribed.push(params.subscriptionId)
      const subscriptionId = `sub-${(count += 1)}`
      const isQuiet = params.executionId === 'quiet'
      if (!isQuiet) subscribed.push(params.after)
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: { subscriptionId } }))
      const send = (seq: number): void => {
        if (unsubscribed.includes(subscriptionId) || socket.readyState !== 1) return
        const isLast = seq === (isQuiet ? 3 : total)
        const event = {
          seq,
          type: isLast ? 'execution.finished' : 'output',
          at: '',
          attempt: 1,
          data: { stream: 'stdout', data: 'x'.repeat(16 * 1024) },
        }
        if (!isQuiet) sent.seq = Math.max(sent.seq, seq)
        socket.send(
          JSON.stringify({
            jsonrpc: '2.0',
            method: 'execution.event',
            params: { subscriptionId, executionId: params.executionId, event },
          }),
          () => {
            if (!isLast) setImmediate(send, seq + 1)
          },
        )
      }
      send(params.after + 1)
    })
  })
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, subscribed, unsubscribed, sent }
}

void t.test('a reader that does not pull has the socket paused, then is set aside, and misses nothing', async (t) => {
  // 64 MiB: more than the kernel's buffers of a loopback connection hold.
  const total = 4096
  const flood = await openFlood(t, total)
  const socket = createSharedSocket({
    url: flood.url,
    token: undefined,
    onReached: () => undefined,
    inboxLimitBytes: 256 * 1024,
    holdLimitMs: 2_000,
  })
  t.teardown(() => socket.close(new ClientError({ code: 'CLIENT_CLOSED', status: 0, detail: '', retryable: false })))

  const slow = socket.subscribe({ executionId: 'flood', after: 0 })
  t.match(await slow.next(), { seq: 1 })
  await sleep(1_000)
  const stood = flood.sent.seq
  t.ok(stood < total, `paused after ${stood} of ${total}`)

  // A neighbour on the same socket is held up for the hold limit at most.
  const quiet = socket.subscribe({ executionId: 'quiet', after: 0 })
  const heard: number[] = []
  for (let event = await quiet.next(); event; event = await quiet.next()) {
    heard.push(event.seq)
    if (event.type === 'execution.finished') break
  }
  t.same(heard, [1, 2, 3], 'the neighbour is served')
  await until(() => flood.unsubscribed.length > 0, 'the service is told')
  t.same(flood.unsubscribed, ['sub-1'], 'the slow one was set aside')
  let last = 1
  for (let event = await slow.next(); event; event = await slow.next()) {
    if (event.seq !== last + 1) t.fail(`${event.seq} after ${last}`)
    last = event.seq
  }
  t.equal(slow.ended, 'set_aside')
  t.ok(last * 16 * 1024 < 1024 * 1024, `${last} events had been kept for it`)
  quiet.close()
  slow.close()
})

void t.test('following: a slow consumer gets every event once', async (t) => {
  const total = 1536
  const flood = await openFlood(t, total)
  const client = open(t, { url: flood.url })
  let last = 0
  for await (const event of client.follow('flood')) {
    if (event.seq !== last + 1) t.fail(`${event.seq} after ${last}`)
    last = event.seq
    // Longer than a reader is waited for.
    if (event.seq === 10) await until(() => flood.unsubscribed.length > 0, 'it is set aside')
  }
  t.equal(last, total)
  t.ok(flood.subscribed.length >= 2, `set aside, then from ${flood.subscribed[1]} on`)
})

void t.test('a large log through the real service, read slowly', async (t) => {
  const client = open(t, { url: service.url(), token: service.token })
  const piece = { type: 'assistant', message: { id: 'm', content: [{ type: 'text', text: 'abcdefgh'.repeat(512) }] } }
  const { id } = await client.execute({
    prompt: JSON.stringify([{ repeat: `${JSON.stringify(piece)}\n`, times: 768 }, answer]),
  })
  const events: Event[] = []
  for await (const event of client.follow(id)) {
    events.push(event)
    if (event.seq % 200 === 0) await sleep(20)
  }
  t.same(
    events.map(({ seq }) => seq),
    events.map((_event, index) => index + 1),
  )
  const log = await service.events(id)
  t.equal(events.length, log.length)
  t.equal(JSON.stringify(events), JSON.stringify(log))
})

void t.test('of many calls at once nothing is left, and Node sees no leak in them', async (t) => {
  const { AbortController: Plain } = globalThis
  const made: AbortController[] = []
  globalThis.AbortController = class extends Plain {
    constructor() {
      super()
      made.push(this)
    }
  }
  t.teardown(() => void (globalThis.AbortController = Plain))
  const warnings: string[] = []
  const onWarning = ({ message }: Error): void => void warnings.push(message)
  process.on('warning', onWarning)
  t.teardown(() => void process.off('warning', onWarning))
  // It answers when all are there.
  const waiting: ServerResponse[] = []
  const server = createHttpServer((_request, response) => {
    if (waiting.push(response) === 30) for (const each of waiting) each.end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const client = open(t, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  await Promise.all(Array.from({ length: 30 }, () => client.health()))
  await new Promise(setImmediate)
  t.same(warnings, [])
  t.ok(made.length > 30)
  t.same(
    made.map(({ signal }) => getEventListeners(signal, 'abort').length).filter((count) => count > 1),
    [],
    'no signal holds more than its own',
  )
})
