// What must work through every front.
import { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http2'
import type { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { scripted } from '../environment.js'
import { CLI } from '../paths.js'
import { spawnWatched } from '../processes.js'
import type { RunningFront } from './front.js'
import type { Front } from './programs.js'
import { once, until } from '../deadlines.js'

const BODY_LIMIT = 8 * 1024 * 1024
const WAIT_SECONDS = 5
/** It ends a test that would hang, and asserts nothing. */
const WAIT_MS = 60_000

/** A path that a front which decodes, or encodes anew, spoils. */
export const FILE = { path: 'deep/100% é.txt', encoded: 'deep%2F100%25%20%C3%A9.txt', content: 'whole' }
/** Lives until it is cancelled: what arrives before is not held back. */
export const HANGING = scripted({ text: 'live', chunks: 1 }, { hangMs: 600_000 })

/** Reads on until the pattern is there. */
async function readUntil(stream: Readable, pattern: RegExp): Promise<string> {
  let text = ''
  stream.setEncoding('utf8')
  const late = setTimeout(() => stream.destroy(new Error(`${String(pattern)} is held back: ${text}`)), WAIT_MS)
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      text += chunk as string
      if (pattern.test(text)) return text
    }
  } finally {
    clearTimeout(late)
  }
  throw new Error(`it ended without ${String(pattern)}: ${text}`)
}

export interface Walk {
  readonly token: string
  /** An execution that has ended, and has left FILE. */
  readonly withFile: string
  readonly speaks: Front['speaks']
  readonly certificate: string
  readonly folder: string
}

export async function walk(t: Test, front: RunningFront, { token, withFile, speaks, ...more }: Walk): Promise<void> {
  const authorization = `Bearer ${token}`
  const posted = { authorization, 'content-type': 'application/json', 'idempotency-key': front.url }
  const body = JSON.stringify({ prompt: HANGING, partialText: true })
  const events = await front.send('POST', '/execute', { ...posted, accept: 'text/event-stream' }, body)
  t.match([events.statusCode, events.headers['content-encoding']], [200, undefined], 'submitted; a stream is as it is')
  const begun = await readUntil(events, /"type":"text\.delta"/)
  const id = /\/executions\/(.+)$/.exec(events.headers.location ?? '')?.[1] ?? ''
  const path = `/executions/${id}`
  const { json } = await front.ask('GET', path, { authorization })
  t.equal(json.status, 'running', 'events arrive while it runs')

  const tooMuch = await front.ask('POST', '/execute', posted, body.padEnd(BODY_LIMIT + 1)).catch(String)
  if (typeof tooMuch !== 'string') t.match([tooMuch.status], [413], 'more than 8 MiB')
  const large = await front.ask('POST', '/execute', posted, body.padEnd(BODY_LIMIT))
  t.match([large.status, large.headers['idempotent-replayed'], large.json?.id], [200, 'true', id], '8 MiB')

  const head = await front.ask('HEAD', path, { authorization })
  t.match([head.status, head.headers['content-type'], head.body.length], [200, /^application\/json/, 0], 'HEAD')
  const file = await front.ask('GET', `/executions/${withFile}/files/${FILE.encoded}`, { authorization })
  t.match([file.status, file.body.toString()], [200, FILE.content], 'an encoded slash')
  const plain = await front.ask('GET', '/openapi.json', {})
  const zipped = await front.ask('GET', '/openapi.json', { 'accept-encoding': 'gzip' })
  t.equal(zipped.headers['content-encoding'], speaks.gzip ? 'gzip' : undefined, 'compression')
  t.ok(plain.body.equals(speaks.gzip ? gunzipSync(zipped.body) : zipped.body))

  const after = Number(/"seq":(\d+)/.exec(begun.slice(begun.lastIndexOf('id: ')))?.[1])
  const poll = front.ask('GET', `${path}/events?after=${after + 1000}&waitSeconds=${WAIT_SECONDS}`, { authorization })
  // Awaited below, unless something fails before.
  poll.catch(() => {})
  const socket = speaks.webSocket ? await openSocket(front, token, id) : undefined
  const stream = speaks.http2
    ? await front.stream(`${path}/events`, { authorization, accept: 'text/event-stream' })
    : undefined
  if (stream) {
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    t.equal(headers[':status'], 200, 'HTTP/2')
    await readUntil(stream, /"type":"text\.delta"/)
  }
  const polled = await poll
  t.match([polled.status, polled.json], [200, { events: [], finished: false }], 'a wait')
  t.equal((await front.ask('POST', `${path}/cancel`, posted, '{}')).status, 202)
  const ends = [readUntil(events, /"type":"execution\.finished"/)]
  if (stream) ends.push(readUntil(stream, /"type":"execution\.finished"/))
  await Promise.all([...ends, socket?.finished])
  socket?.close()
  await runThrough(t, front, { token, ...more, fallsBack: !speaks.webSocket })
}

/** Subscribes, and resolves once the first event has come. */
async function openSocket(front: RunningFront, token: string, executionId: string) {
  const socket = new WebSocket(`${front.url.replace('http', 'ws')}/ws`, {
    ca: front.ca,
    family: 4,
    headers: { authorization: `Bearer ${token}` },
  })
  const types: string[] = []
  const seen = new EventEmitter()
  const finished = once(seen, 'finished', { signal: AbortSignal.timeout(WAIT_MS) })
  socket.on('message', (data: Buffer) => {
    const { method, params } = JSON.parse(data.toString())
    if (method !== 'execution.event') return
    types.push(params.event.type)
    if (params.event.type === 'execution.finished') seen.emit('finished')
  })
  await once(socket, 'open')
  const params = { executionId }
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params }))
  await until(() => types.length > 0, 'an event comes', WAIT_MS)
  return { finished, close: () => socket.terminate() }
}

/** `cc-executor run` as a user calls it. */
export async function runThrough(
  t: Test,
  front: RunningFront,
  { token, certificate, folder, fallsBack }: Omit<Walk, 'withFile' | 'speaks'> & { fallsBack: boolean },
): Promise<void> {
  const env = {
    PATH: process.env['PATH'],
    CC_EXECUTOR_DATA_DIR: folder,
    CC_EXECUTOR_URL: front.url,
    CC_EXECUTOR_TOKEN: token,
    NODE_EXTRA_CA_CERTS: certificate,
  }
  const child = spawnWatched(t, [process.execPath, CLI, 'run', 'Say hello'], env, folder)
  const { code } = await child.ended
  await child.drained
  t.equal(code, 0, child.stderr())
  t.match(child.stdout(), /simulated/)
  t.equal(/a proxy blocks WebSockets/.test(child.stderr()), fallsBack, 'falls back, and says so')
}
