import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { McpEndpoint } from '../src/mcp/http-endpoint.js'
import type { ServiceAccess } from '../src/mcp/service-access.js'
import { ExecutorError, toInvalidRequest } from '../src/protocol/errors.js'
import { isShallow } from '../src/protocol/nesting.js'
import type { Health } from '../src/protocol/service-state.js'
import { whileConnected } from './answers.js'
import { createToolService } from './tool-service.js'

export interface McpRouteOptions {
  readonly health: () => Health
  readonly checkRedis: () => Promise<string | undefined>
  readonly version: string
}

/** Of a message: its arguments may be as deep as those of REST. */
const DEEPEST = 120
const BOTH_MEDIA = 'application/json, text/event-stream'
/** A token is nobody's to see from here on; the body has been read. */
const LEFT_OUT = /^(?:authorization|content-length|transfer-encoding|connection|host)$/

function toWebRequest({ method, headers }: FastifyRequest, signal: AbortSignal): Request {
  const given = Object.entries(headers).flatMap(([name, value]): Array<[string, string]> =>
    value === undefined || LEFT_OUT.test(name) ? [] : [[name, [value].flat().join(', ')]],
  )
  const sent = new Headers(given)
  // Whoever takes everything takes both kinds of answer.
  if (/(?:^|,)\s*\*\/\*/.test(sent.get('accept') ?? '*/*')) sent.set('accept', BOTH_MEDIA)
  return new Request('http://localhost/mcp', { method, headers: sent, signal })
}

/**
 * MCP over streamable HTTP. Who may come in is settled as on every other path; each tool then asks for the scope of
 * what it does. There is no stream beside those of requests, and no session to end: GET and DELETE are 405, as the
 * protocol lets a server do.
 */
export async function mcpRoutes(app: FastifyInstance, { health, checkRedis, version }: McpRouteOptions): Promise<void> {
  const { services } = app
  const { config, logger } = services
  let endpoint: Promise<McpEndpoint> | undefined

  /** The SDK is loaded for the first who asks: most services never need it. */
  async function openEndpoint(): Promise<McpEndpoint> {
    const { openMcpEndpoint } = await import('../src/mcp/http-endpoint.js')
    return openMcpEndpoint({ version, onFailure: (err) => logger.error({ err }, 'an MCP call failed') })
  }
  app.addHook('preClose', async () => (await endpoint)?.close())

  function openAccess({ caller, host }: FastifyRequest): ServiceAccess {
    const url = `http://${host}${config.basePath}`
    const service = createToolService({ services, caller, url, health, checkRedis })
    return { join: async () => service, forget: () => undefined, mayDecide: caller.scopes.has('approve') }
  }

  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { body, caller } = request
    if (!isShallow(body, DEEPEST))
      throw toInvalidRequest([{ path: '', message: `must not be nested deeper than ${DEEPEST} levels` }])
    const { open, handle: answer } = await (endpoint ??= openEndpoint())
    if (open >= config.maxConnections)
      throw new ExecutorError('RATE_LIMITED', {
        detail: `This process already serves ${config.maxConnections} requests of MCP.`,
        retryAfterSeconds: 5,
      })
    const {
      status,
      headers,
      body: sent,
    } = await answer({
      request: toWebRequest(request, whileConnected(reply)),
      body,
      callerId: `${caller.id} ${caller.executionId ?? ''}`,
      access: openAccess(request),
    })
    return reply.code(status).headers(headers).send(sent)
  }

  app.route({
    method: 'POST',
    url: '/mcp',
    // Each tool asks for its own scope.
    config: { scope: 'any', forOneExecution: true },
    schema: { hide: true },
    handler: handle,
  })
}
