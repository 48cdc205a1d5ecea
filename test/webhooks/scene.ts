// Senders on a Redis whose clock can be set, records that start and end as they do, and a receiver that answers as it
// is told and has every message verified by the library of Standard Webhooks.
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { Webhook as Verifier } from 'standardwebhooks'
import type { Test } from 'tap'
import { createAddressGuard } from '../../src/egress/guarded-request.js'
import type { NewRecord } from '../../src/executions/store/transitions.js'
import { openApiServices } from '../../src/main/lifecycle/open-services.js'
import { openWebhooks } from '../../src/main/lifecycle/open-webhooks.js'
import { readConfig } from '../../src/platform/config.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Caller } from '../../src/protocol/caller.js'
import { NO_USAGE } from '../../src/protocol/execution.js'
import type { Token } from '../../src/protocol/tokens.js'
import type { Delivery, NewWebhook, WebhookPayload, WebhookRequest } from '../../src/protocol/webhooks.js'
import { createWebhook, getWebhook, listDeliveries, type WebhookServices } from '../../src/webhooks/manage-webhooks.js'
import { createWebhookStore } from '../../src/webhooks/webhook-store.js'
import { buildClock, openFaultyRedis } from '../faults/faulty-redis.js'
import { once, until } from '../support/deadlines.js'

export interface Message {
  readonly id: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly payload: WebhookPayload
}
type Answerer = (message: Message, response: ServerResponse) => void | Promise<void>
export const accept: Answerer = (_message, response) => void response.writeHead(204).end()
export const refuse =
  (status: number): Answerer =>
  (_message, response) =>
    void response.writeHead(status).end()

/** What came, in the order in which it came; each must be signed with the secret of its path. */
export async function openReceiver(t: Test) {
  const messages: Message[] = []
  const secrets = new Map<string, string>()
  const receiver = { messages, secrets, answer: accept, url: '', host: '', wrong: [] as string[] }
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      const headers = request.headers as Record<string, string>
      const path = request.url ?? ''
      const message = { id: headers['webhook-id'] ?? '', path, headers, body, payload: JSON.parse(body) }
      try {
        new Verifier(secrets.get(path) ?? '').verify(body, headers)
      } catch (error) {
        receiver.wrong.push(`${message.id}: ${String(error)}`)
      }
      messages.push(message)
      await receiver.answer(message, response)
    })().catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
  })
  receiver.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  receiver.url = `http://${receiver.host}`
  return receiver
}

export const toToken = (id: string, scopes: Token['scopes']): Token => ({
  id,
  name: id,
  scopes,
  origin: 'environment',
  status: 'active',
})
export const ALICE: Caller = { id: 'alice', name: 'alice', scopes: new Set(['read', 'execute']) }
export const ADMIN: Caller = { id: 'admin', name: 'admin', scopes: new Set(['read', 'execute', 'approve', 'admin']) }
const CONFIGURED = [ALICE, ADMIN].map(({ id, scopes }) => toToken(id, [...scopes]))

export async function openSending(t: Test, env: NodeJS.ProcessEnv = {}) {
  const clock = await buildClock(t)
  const redis = await openFaultyRedis(t, clock)
  const receiver = await openReceiver(t)
  const config = readConfig({
    CC_EXECUTOR_DATA_DIR: '/nonexistent',
    LOG_LEVEL: 'silent',
    CC_EXECUTOR_WEBHOOK_HOSTS: receiver.host,
    CC_EXECUTOR_WEBHOOK_TIMEOUT_SECONDS: '20',
    ...env,
  })
  let ahead = 0
  const logged: string[] = []

  /** As an API process has it; `configured`: the tokens that it knows. */
  function openProcess(configured: readonly Token[] | undefined = CONFIGURED) {
    const lifetime = new Lifetime()
    // As the service's own, but heard.
    const err = ({ message, stack }: Error): object => ({ message, stack })
    const logger = pino({ level: 'trace', serializers: { err } }, { write: (line) => void logged.push(line) })
    const services = openApiServices({ config, redisUrl: `unix://${redis.socket}`, logger, lifetime, configured })
    const opened = openWebhooks({ ...services, redisUrl: `unix://${redis.socket}`, lifetime, configured })
    t.teardown(() => lifetime.close())
    return { ...services, ...opened, close: () => lifetime.close() }
  }
  const keeper = new Lifetime()
  t.teardown(() => keeper.close())
  const { store, redis: connection } = openApiServices({
    config,
    redisUrl: `unix://${redis.socket}`,
    logger: createLogger('silent', 'api'),
    lifetime: keeper,
    configured: CONFIGURED,
  })
  const webhooks: WebhookServices = {
    store: createWebhookStore(connection, config.prefix),
    guard: createAddressGuard(config.webhookHosts),
    maxWebhooks: config.maxWebhooks,
    maxPending: config.maxPendingDeliveries,
  }

  /** A webhook at a path of the receiver's, which then knows its secret. */
  async function make(path: string, request: Partial<WebhookRequest> = {}, caller = ALICE): Promise<NewWebhook> {
    const made = await createWebhook(webhooks, { url: receiver.url + path, ...request }, caller)
    if (!('secret' in made)) throw new Error('it has a secret')
    receiver.secrets.set(path, made.secret)
    return made
  }

  /** An execution that has started. Answers how to end it. */
  async function start(owner = 'alice', more: Partial<NewRecord> = {}) {
    const id = more.id ?? randomUUID()
    const request = { prompt: 'x', webhooks: more.request?.webhooks }
    await store.create(
      {
        id,
        owner,
        request,
        requestDigest: 'digest',
        metadata: { team: 'a' },
        simulated: true,
        createdAt: Date.now(),
        workspace: id,
        priority: 'normal',
        ...more,
      },
      10_000,
    )
    const claimed = await store.claim(id, 1, 'worker', 3_600_000, 'default')
    const fence = claimed.kind === 'claimed' ? claimed.fence : ''
    const fields = { startedAt: new Date(), attempt: 1, sessionId: randomUUID(), simulated: true }
    // The store looks at no field of it.
    const event = { type: 'execution.started', data: {} } as unknown as Parameters<typeof store.start>[3]
    await store.start(id, fence, fields, event, event)
    const outcome = { status: 'failed', code: 'CLAUDE_EXITED', message: '' } as const
    const end = () => store.conclude(id, fence, { usage: NO_USAGE, attempt: 1, finishedAt: new Date(), outcome })
    return { id, end }
  }
  /** One that starts and ends. */
  async function happen(owner?: string, more?: Partial<NewRecord>): Promise<string> {
    const { id, end } = await start(owner, more)
    await end()
    return id
  }

  const deliveries = async ({ id }: { id: string }): Promise<Delivery[]> =>
    (await listDeliveries(webhooks, id, ADMIN, { limit: 200 })).deliveries.toReversed()
  const get = ({ id }: { id: string }) => getWebhook(webhooks, id, ADMIN)
  /** What has come of them, oldest first. */
  const states = async (webhook: { id: string }): Promise<string[]> =>
    (await deliveries(webhook)).map(({ status, attemptCount }) => `${status} ${attemptCount}`)
  const untilStates = (webhook: { id: string }, wanted: readonly string[]): Promise<void> =>
    until(async () => (await states(webhook)).join() === wanted.join(), 'its states').catch(async (error: unknown) => {
      throw new Error(`it is ${(await states(webhook)).join(', ')}`, { cause: error })
    })

  return {
    /** Without a C compiler there is no clock to set. */
    skip: clock === undefined && 'no C compiler',
    redis,
    logged,
    connection,
    receiver,
    webhooks,
    openProcess,
    make,
    start,
    happen,
    deliveries,
    get,
    states,
    untilStates,
    /** From now on Redis' clock says so much more than before. */
    advance(seconds: number) {
      ahead += seconds
      redis.setClock(ahead)
    },
  }
}
