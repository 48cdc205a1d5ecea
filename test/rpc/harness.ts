// A WebSocket server over real services and a real Redis. Runs are played by writing what a worker writes; no worker is
// needed.
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { LogWriter } from '../../src/events/log-writer.js'
import { getExecution } from '../../src/executions/read/find-execution.js'
import type { DomainServices, ExecutionServices } from '../../src/executions/services.js'
import type { Caller } from '../../src/protocol/caller.js'
import { submitExecution } from '../../src/executions/submit/submit-execution.js'
import { openApiServices, openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { NewEvent } from '../../src/protocol/events.js'
import { NO_USAGE, type Outcome } from '../../src/protocol/execution.js'
import type { RpcResponse } from '../../src/protocol/rpc.js'
import { buildOpenRpcDocument } from '../../src/rpc/open-rpc-document.js'
import { openRpcConnection } from '../../src/rpc/rpc-connection.js'
import { openTestRedis } from '../support/redis.js'
import { eventually, once, repeat } from '../support/deadlines.js'

export const CALLER: Caller = { id: 'tester', name: 'tester', scopes: new Set(['execute', 'read']) }

/** Whatever the server sends; tests look into it with t.match. */
export type Message = Partial<RpcResponse> & {
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { code: number; message: string; data?: { code?: string } }
}
type Open = (
  socket: WebSocket,
  transport: Socket,
  services: ExecutionServices,
) => { close(code: number, reason: string): void }

export async function openHarness(t: Test, open: Open, environment: Record<string, string> = {}) {
  const redis = await openTestRedis(t)
  const dataDir = await mkdtemp(join(tmpdir(), 'cce-rpc-'))
  const lifetime = new Lifetime()
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...environment })
  const services = openApiServices({
    configured: [],
    config,
    redisUrl: redis.url,
    logger: createLogger(config.logLevel, 'test'),
    lifetime,
  })
  // As a worker's: it waits for Redis where an API gives up after 0.9 s.
  const worker = openDomain({ config, redisUrl: redis.url, logger: services.logger, lifetime }, 'keeper')
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 8 * 1024 * 1024 })
  const connections: Array<ReturnType<Open>> = []
  server.on('connection', (socket, request) => connections.push(open(socket, request.socket, services)))
  await once(server, 'listening')
  t.teardown(async () => {
    for (const client of server.clients) client.terminate()
    server.close()
    await lifetime.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  const { port } = server.address() as AddressInfo
  return {
    services,
    server,
    connections,
    redis,
    connect: () => connect(t, `ws://127.0.0.1:${port}`),
    submit: async (prompt = 'hello') => (await submitExecution(services, { prompt }, CALLER)).execution.id,
    start: (executionId: string) => start(worker, executionId),
  }
}

export type Harness = Awaited<ReturnType<typeof openHarness>>
export type Client = Awaited<ReturnType<typeof connect>>

/** A client that keeps what came until somebody asks for it, in order. */
async function connect(t: Test, url: string) {
  const socket = new WebSocket(url)
  const inbox: Message[] = []
  let wake: (() => void) | undefined
  socket.on('message', (data: Buffer) => {
    inbox.push(JSON.parse(data.toString('utf8')) as Message)
    wake?.()
  })
  socket.on('error', () => undefined)
  const closed = eventually(socket, 'close').then(([code]) => Number(code))
  await once(socket, 'open')
  t.teardown(() => socket.terminate())
  let ids = 0

  /** The first that `take` finds in the inbox, now or later. */
  const nextOf = (take: () => Message | undefined, what: string): Promise<Message> =>
    repeat(async () => {
      const message = take()
      if (message) return message
      await Promise.race([new Promise<void>((resolve) => (wake = resolve)), closed])
      if (inbox.length === 0 && socket.readyState === WebSocket.CLOSED) throw new Error('closed')
      return undefined
    }, what)
  const next = (): Promise<Message> => nextOf(() => inbox.shift(), 'a message comes')

  return {
    socket,
    inbox,
    closed,
    next,
    send: (message: unknown) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    /** The first message that fits; those before it are dropped. */
    until: (fits: (message: Message) => boolean): Promise<Message> =>
      repeat(async () => {
        const message = await next()
        return fits(message) ? message : undefined
      }, 'a message fits'),
    async take(count: number): Promise<Message[]> {
      const taken: Message[] = []
      for (let left = count; left > 0; left -= 1) taken.push(await next())
      return taken
    },
    /** Sends a request and gives its answer; notifications that come before it stay in the inbox. */
    async call(method: string, params?: unknown): Promise<Message> {
      const id = `call-${(ids += 1)}`
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) }))
      const isAnswer = (message: Message): boolean => message.id === id
      return nextOf(() => {
        const index = inbox.findIndex(isAnswer)
        if (index < 0 && socket.readyState === WebSocket.CLOSED) throw new Error('closed')
        return index < 0 ? undefined : inbox.splice(index, 1)[0]
      }, `${method} is answered`)
    },
  }
}

const STARTED = {
  attempt: 1,
  workerId: 'worker',
  pid: 4711,
  pgid: 4711,
  claudeVersion: '2.1.197',
  sessionId: 'session',
  workspace: 'w',
  argv: ['claude'],
}

/** Does what a worker does with an execution, as far as its log and record go. */
async function start({ store, log }: DomainServices, executionId: string) {
  const record = await store.get(executionId)
  const claimed = await store.claim(executionId, record?.claim ?? 0, 'worker', 60_000, 'api_key')
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind)
  const { fence } = claimed
  const started = await store.start(
    executionId,
    fence,
    { startedAt: new Date(), attempt: 1, sessionId: 'session', simulated: true },
    { type: 'execution.started', data: STARTED },
  )
  if (started.kind !== 'started') throw new Error(started.kind)
  const writer = new LogWriter({
    log,
    executionId,
    fence,
    attempt: 1,
    lastSeq: started.lastSeq,
    onStale: () => undefined,
  })
  return {
    async write(...events: NewEvent[]): Promise<void> {
      for (const event of events) writer.write(event)
      await writer.flushed()
    },
    async finish(outcome: Partial<Outcome> = {}, durationMs = 1_500): Promise<void> {
      await writer.flushed()
      await store.conclude(executionId, fence, {
        outcome: { status: 'succeeded', result: 'done', ...outcome },
        usage: { ...NO_USAGE, durationMs },
        finishedAt: new Date(),
        attempt: 1,
      })
    },
    control: () => store.renew(executionId, fence, 60_000),
    enter: (state: 'running' | 'paused') => store.enter(executionId, fence, state),
  }
}

export const delta = (text: string): NewEvent => ({ type: 'text.delta', data: { message: 0, text } })
export const message = (rawMessage: string): NewEvent => ({ type: 'claude.message', rawMessage })
export const statusOf = async ({ services }: Harness, executionId: string): Promise<string> =>
  (await getExecution(services, executionId, CALLER)).status

export const request = (id: unknown, method: string, params?: unknown) => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params !== undefined && { params }),
})
export const seqOf = ({ params }: Message): number => (params?.['event'] as { seq: number } | undefined)?.seq ?? 0
export const isClosed = ({ method }: Message): boolean => method === 'subscription.closed'

export const HEALTH = {
  status: 'ok',
  service: 'cc-executor',
  version: '0',
  uptimeSeconds: 1,
  simulated: true,
  instanceId: '0',
} as const

/** `/ws`; its queue always fails. */
export function openRpc(t: Test, environment: Record<string, string> = {}, caller: Caller = CALLER): Promise<Harness> {
  return openHarness(
    t,
    (socket, transport, services) =>
      openRpcConnection({
        socket,
        transport,
        services,
        caller,
        requestId: 'c',
        queue: () => Promise.reject(new Error('a secret of ours')),
        health: () => HEALTH,
        discover: () => buildOpenRpcDocument('1.2.3'),
      }),
    environment,
  )
}
