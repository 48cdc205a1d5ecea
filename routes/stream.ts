import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { ExecutorError } from '../src/protocol/errors.js'
import type { Health, QueueState } from '../src/protocol/service-state.js'
import { CallTurns } from '../src/rpc/call-turns.js'
import { forgetUpgrade } from '../src/rpc/forget-upgrade.js'
import { openOriginalConnection } from '../src/rpc/original/original-dialect.js'
import type { EndOfToken } from '../src/tokens/live-token.js'
import { openRpcConnection } from '../src/rpc/rpc-connection.js'

export interface StreamRoutesOptions {
  readonly queue: () => Promise<QueueState>
  readonly health: () => Health
  /** The OpenRPC document. */
  readonly discover: () => Record<string, unknown>
  readonly version: string
}

const POLICY_VIOLATION = 1008
const REASONS: { readonly [Why in EndOfToken]: string } = {
  revoked: 'the token was revoked',
  expired: 'the token has expired',
  restricted: 'the token has fewer scopes now; connect again',
}

function closeWithToken(
  socket: WebSocket,
  { access }: FastifyRequest,
  connection: { close(code: number, reason: string): void },
): void {
  socket.once(
    'close',
    access.onEnd((why) => connection.close(POLICY_VIOLATION, REASONS[why])),
  )
}

/** The two WebSockets. The websocket plugin upgrades and ends them; who may connect is settled before that, as HTTP. */
export async function streamRoutes(
  app: FastifyInstance,
  { queue, health, discover, version }: StreamRoutesOptions,
): Promise<void> {
  const { services } = app
  const turns = new CallTurns()
  const responses = new WeakMap<FastifyRequest, ServerResponse>()

  function open(url: string, wsHandler: (socket: WebSocket, request: FastifyRequest) => void): void {
    app.route({
      method: 'GET',
      url,
      // Each method asks for its own scope.
      config: { scope: 'any', webSocket: true, forOneExecution: true, ticket: true },
      schema: { hide: true },
      async preValidation(request, reply) {
        responses.set(request, reply.raw)
        if (request.ws && app.websocketServer.clients.size >= services.config.maxConnections) {
          throw new ExecutorError('RATE_LIMITED', {
            detail: `This process already serves ${services.config.maxConnections} WebSocket connections.`,
            retryAfterSeconds: 5,
          })
        }
      },
      async handler() {
        // The plugin upgrade-required has answered by now.
        throw new ExecutorError('UPGRADE_REQUIRED', { detail: `${url} is a WebSocket.` })
      },
      wsHandler(socket, request) {
        const [response, transport] = [responses.get(request), request.raw.socket]
        if (response) forgetUpgrade(socket, { transport, response, logger: services.logger })
        wsHandler(socket, request)
      },
    })
  }

  open('/ws', (socket, request) => {
    const connection = openRpcConnection({
      socket,
      transport: request.raw.socket,
      services,
      caller: request.caller,
      turns,
      queue,
      health,
      discover,
      requestId: request.id,
      trace: services.tracing?.read(request.headers),
    })
    closeWithToken(socket, request, connection)
  })
  open('/ws/mcp', (socket, request) => {
    const { caller, raw } = request
    const trace = services.tracing?.read(request.headers)
    const connection = openOriginalConnection({
      socket,
      transport: raw.socket,
      services,
      caller,
      turns,
      version,
      trace,
    })
    closeWithToken(socket, request, connection)
  })
}
