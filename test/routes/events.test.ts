// The events of an execution by REST: pages, long polls and event streams.
import { EventSource } from 'eventsource'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Event } from '../../src/protocol/events.js'
import { untilInTime, withLongerClocks } from '../support/longer-clocks.js'
import { TOKENS, openRest, readFrames, collectFrames, numbers, type Frame } from './scene.js'
import { until } from '../support/deadlines.js'

const { service, call, finished, run, held, openStream } = await openRest(t)

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

void t.test('an EventSource reconnects where it was cut, sees each event once, and ends by the 204', async (t) => {
  await Promise.all(['', '?types=text.delta,claude.message'].map((query) => readByEventSource(t, query)))
})

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
      let waited = 0
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        length += chunk.length
        tail = (tail + chunk.toString('latin1')).slice(-2_000)
        // By what has come: a machine with other work brings it in smaller pieces.
        for (; waited < length; waited += 65_536) await sleep(20 * seconds)
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
    const { status } = await after
    return status === 200 && statuses.every((one) => one === 'rejected') ? statuses : undefined
  }
  // Redis answers nobody until they have gone; less than the 0.9 s after which the service answers without it.
  const statuses = await untilInTime(leaveEarly)
  t.same(statuses, ['rejected', 'rejected'], 'both had gone before they were answered')
  const channel = `{${service.config.prefix}}:channel:${execution.id}`
  for (let round = 0; round < 200; round += 1) await redis.ping()
  await until(async () => (await redis.pubsub('NUMSUB', channel))[1] === 0, 'nobody follows')
  await execution.release()
  await finished(execution.id)
})
