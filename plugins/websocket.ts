import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { ExecutorError } from '../src/protocol/errors.js'
import { BODY_LIMIT_BYTES } from '../src/protocol/limits.js'
import { takeOnlyWebSockets } from './upgrades.js'

/** Of a browser, which cannot set Authorization: `new WebSocket(url, ['cc-executor', 'bearer.' + token])`. */
export const BEARER_PROTOCOL = 'bearer.'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The path is a WebSocket's. */
    webSocket?: boolean
  }
}

/** One stuck peer must not hold up the end of the process. */
const CLOSE_DEADLINE_MS = 500

/** What a client sent wrong, a frame too large for instance, is answered by a close code and is nobody's fault here. */
function endFailed(error: Error, socket: WebSocket, log: FastifyBaseLogger): void {
  const isClients = (error as { code?: string }).code?.startsWith('WS_ERR_')
  log[isClients ? 'debug' : 'error']({ err: error }, 'a WebSocket failed')
  socket.terminate()
}

/**
 * Lets go of the request that became a WebSocket: Node keeps its response with the TCP socket, and the plugin's
 * listener for errors keeps all of both, a third of what an idle socket costs.
 */
export function forgetUpgrade(
  socket: WebSocket,
  { transport, response, log }: { transport: Socket; response: ServerResponse; log: FastifyBaseLogger },
): void {
  response.detachSocket(transport)
  socket.removeAllListeners('error')
  socket.on('error', (error) => endFailed(error, socket, log))
}

/** WebSocket upgrades; at the end every socket gets 1001, and whoever does not go is cut off. */
export const websocketPlugin = plugin(
  async function webSocket(app: FastifyInstance) {
    let isClosing = false
    await app.register(websocket, {
      errorHandler: (error, socket, request) => endFailed(error, socket, request.log),
      options: {
        maxPayload: BODY_LIMIT_BYTES,
        perMessageDeflate: false,
        // The one that carries the token is never said back.
        handleProtocols: (offered) => [...offered].find((protocol) => !protocol.startsWith(BEARER_PROTOCOL)) ?? false,
      },
      preClose(done) {
        isClosing = true
        const { clients } = app.websocketServer
        for (const client of clients) client.close(1001, 'the server is shutting down; resume elsewhere by after')
        const deadline = setTimeout(() => {
          for (const client of clients) client.terminate()
        }, CLOSE_DEADLINE_MS)
        app.websocketServer.close(() => {
          clearTimeout(deadline)
          done()
        })
      },
    })
    takeOnlyWebSockets(app.server)
    // While it closes Fastify answers an upgrade before any hook and leaves the socket open; the server would wait for
    // it.
    app.server.on('upgrade', (_request, socket) => {
      if (isClosing) socket.end(() => socket.destroy())
    })
    app.addHook('preParsing', async (request) => {
      if (!request.ws || request.is404 || request.routeOptions.config.webSocket) return
      throw new ExecutorError('METHOD_NOT_FOUND', {
        detail: `${request.routeOptions.url} is not a WebSocket; connect to /ws.`,
      })
    })
  },
  { name: 'websocket' },
)
