// APIs and workers, each a process of its own, on one Redis, and readers by every transport.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { sleep, within } from '../../src/platform/abort-signals.js'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { makeFolder, startCli, type CliProcess, type Teardown } from './processes.js'
import { testEnvironment } from './environment.js'
import { DEADLINE_MS, once, repeat, until } from './deadlines.js'

export type Transport = 'websocket' | 'sse' | 'rest'
/** Where an API is. */
export interface Place {
  readonly url: string
}
export type Server = CliProcess & Place
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Parsed; tests know what they asked for. */
  readonly body: ReturnType<typeof JSON.parse>
}
export type Cluster = Awaited<ReturnType<typeof openCluster>>

export async function openCluster(
  t: Teardown,
  { redisUrl, env = {} }: { redisUrl?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const folder = await makeFolder(t)
  const base = testEnvironment(folder)
  const redis =
    redisUrl === undefined
      ? await openRedisServer({ directory: join(folder, 'redis'), searchPath: splitPath(base['PATH']), durable: false })
      : undefined
  if (redis) t.teardown(() => redis.close())
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const environment: NodeJS.ProcessEnv = {
    ...base,
    REDIS_URL: redisUrl ?? redis?.url,
    // It is there: what it needs for an answer is the machine's affair.
    CC_EXECUTOR_REDIS_WAIT_SECONDS: '60',
    CC_EXECUTOR_SIMULATOR_URL: simulator.url,
    CC_EXECUTOR_CONCURRENCY: '2',
    ...env,
  }

  async function openApi(more: NodeJS.ProcessEnv = {}, command?: readonly string[]): Promise<Server> {
    const cli = startCli(t, ['api'], { ...environment, ...more }, '/', command)
    const [, url = ''] = await cli.said(/API on (http\S+),/)
    return { ...cli, url }
  }
  async function openWorker(more: NodeJS.ProcessEnv = {}, command?: readonly string[]): Promise<CliProcess> {
    const cli = startCli(t, ['worker'], { ...environment, ...more }, '/', command)
    await cli.said(/worker \S+: \d+ at once/)
    return cli
  }
  const headers = async () => ({
    authorization: `Bearer ${(await readFile(join(folder, 'data', 'token'), 'utf8')).trim()}`,
  })
  async function call(
    server: Place,
    method: string,
    path: string,
    body?: unknown,
    more: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(await headers()), ...(body !== undefined && { 'content-type': 'application/json' }), ...more },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }
  /** As a client does: on a machine that is held up an API may not reach Redis in time. */
  async function insist(ask: () => Promise<Answer>): Promise<Answer> {
    let answer = await ask()
    for (let tries = 0; answer.status === 503 && tries < 40; tries += 1) {
      await sleep(250)
      answer = await ask()
    }
    return answer
  }
  async function submit(server: Place, prompt: string, more: Record<string, unknown> = {}): Promise<string> {
    const key = { 'idempotency-key': randomUUID() }
    const { status, body } = await insist(() => call(server, 'POST', '/execute', { prompt, ...more }, key))
    if (status !== 202 && status !== 200) throw new Error(`not accepted: ${status} ${JSON.stringify(body)}`)
    return body.id
  }
  /** 204, also where a first try that was told to have failed has done it. */
  const forget = async (server: Place, id: string): Promise<number> => {
    let tries = 0
    const { status } = await insist(() => {
      tries += 1
      return call(server, 'DELETE', `/executions/${id}`)
    })
    return status === 404 && tries > 1 ? 204 : status
  }
  const get = async (server: Place, id: string): Promise<Execution> =>
    (await insist(() => call(server, 'GET', `/executions/${id}`))).body
  async function finished(server: Place, id: string): Promise<Execution> {
    await until(async () => isTerminal((await get(server, id)).status), `${id} ends`)
    return get(server, id)
  }
  /** The whole log, as it is now. */
  async function readLog(server: Place, id: string): Promise<Event[]> {
    const log: Event[] = []
    return repeat(async () => {
      const page = `/executions/${id}/events?limit=1000&after=${log.at(-1)?.seq ?? 0}`
      const { body } = await insist(() => call(server, 'GET', page))
      log.push(...body.events)
      return body.hasMore ? undefined : log
    }, `the log of ${id} is read`)
  }

  /** Events after a cursor by one of the transports, until the connection ends, by whoever. */
  async function* follow(
    server: Place,
    id: string,
    after: number,
    transport: Transport,
  ): AsyncGenerator<Event, void, undefined> {
    if (transport === 'rest') {
      for (let isWhole = false; !isWhole;) {
        const { status, body } = await call(
          server,
          'GET',
          `/executions/${id}/events?after=${after}&waitSeconds=20&limit=5`,
        )
        if (status !== 200) throw new Error(`no events: ${status} ${body.code}`)
        for (const event of body.events) yield event
        after = body.nextAfter
        isWhole = body.finished && !body.hasMore
      }
      return
    }
    if (transport === 'sse') {
      const abort = new AbortController()
      try {
        const response = await fetch(`${server.url}/executions/${id}/events`, {
          headers: { ...(await headers()), accept: 'text/event-stream', 'last-event-id': String(after) },
          signal: abort.signal,
        })
        yield* readSse(response)
      } finally {
        abort.abort()
      }
      return
    }
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, { headers: await headers() })
    const inbox: Event[] = []
    let isOver = false
    let wake = (): void => undefined
    socket.on('message', (data: Buffer) => {
      const { method, params, error } = JSON.parse(data.toString())
      if (method === 'execution.event') inbox.push(params.event)
      if (method === 'subscription.closed' || error !== undefined) isOver = true
      wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      isOver = true
      wake()
    })
    try {
      await once(socket, 'open')
      socket.send(
        JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params: { executionId: id, after } }),
      )
      for (; !isOver || inbox.length > 0;) {
        const event = inbox.shift()
        if (event) yield event
        else await within(DEADLINE_MS, `the next event of ${id}`, new Promise<void>((resolve) => (wake = resolve)))
      }
    } finally {
      socket.terminate()
    }
  }

  return {
    folder,
    environment,
    simulator,
    openApi,
    openWorker,
    call,
    insist,
    submit,
    get,
    finished,
    readLog,
    forget,
    follow,
  }
}

/** The events of a stream as they come, until it ends, by whoever. */
export async function* readSse(response: Response): AsyncGenerator<Event, void, undefined> {
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    const frames = text.split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const data = /^data: (.*)$/m.exec(frame)?.[1]
      if (data !== undefined) yield JSON.parse(data)
    }
  }
}

/** No gap, no duplicate, one terminal event, at the end. */
export function isWhole(t: Test, events: readonly Event[]): void {
  t.same(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
    'from 1, without a gap or a duplicate',
  )
  t.same(
    events.flatMap(({ type }, index) => (type === 'execution.finished' ? [index] : [])),
    [events.length - 1],
    'one terminal event, the last',
  )
}

export const textOf = (events: readonly Event[]): string =>
  events.map((event) => (event.type === 'text.delta' ? (event as Event<'text.delta'>).data.text : '')).join('')
