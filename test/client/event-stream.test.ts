// The events by Server-Sent Events: what a reader that takes its time gets, and what is left when it goes.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { openEventStream } from '../../src/client/event-stream.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { once, until } from '../support/deadlines.js'

const SILENCE_LIMIT_MS = 5_000

const server = createServer(({ url = '' }, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let seq = 0
  const send = (): boolean => response.write(`data: ${JSON.stringify({ seq: (seq += 1) })}\n\n`)
  send()
  send()
  const alive = setInterval(() => (url.includes('talkative') ? send() : response.write(': alive\n\n')), 20)
  response.once('close', () => clearInterval(alive))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => {
  server.closeAllConnections()
  server.close()
})
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const open = (executionId: string, silenceLimitMs?: number) =>
  openEventStream(
    { url, token: undefined, onReached: () => undefined, ...(silenceLimitMs !== undefined && { silenceLimitMs }) },
    { executionId },
  )
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

void t.test('a reader that does not pull is not taken for a service that is silent', async (t) => {
  // The first request of a process takes a while.
  await fetch(url).then(({ body }) => body?.cancel())
  const events = open('talkative', SILENCE_LIMIT_MS)
  t.match(await events.next(), { seq: 1 })
  await sleep(1.25 * SILENCE_LIMIT_MS)
  for (let seq = 2; seq <= 40; seq += 1) t.equal((await events.next())?.seq, seq)
  events.close()
})

void t.test('a stream that is closed keeps no process alive, whatever it was doing', async (t) => {
  const before = timers()
  const [held, waiting, unread] = [open('x'), open('x'), open('x')]
  await held.next()
  await waiting.next()
  await waiting.next()
  const next = waiting.next()
  for (const events of [held, waiting, unread]) events.close()
  t.equal(await next, undefined)
  await until(() => timers() <= before, 'no timer is left')
  t.ok(timers() <= before, `${timers()} timers, and ${before} before`)
})
