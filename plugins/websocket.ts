import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
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

/** WebSocket upgrades; at the end every socket gets 1001, and whoever does not go is cut off. */
export const websocketPlugin = plugin(
  async function webSocket(app: FastifyInstance) {
    let isClosing = false
    await app.register(websocket, {
      // What a client sent wrong, a frame too large for instance, is answered by a close code and is nobody's fault
      // here.
      errorHandler(error, socket, request) {
        request.log[(error as { code?: string }).code?.startsWith('WS_ERR_') ? 'debug' : 'error'](
          { err: error, requestId: request.id },
          'a WebSocket failed',
        )
        socket.terminate()
      },
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
    app.addHook('preParsing', (request, _reply, _payload, done) => {
      if (!request.ws || request.is404 || request.routeOptions.config.webSocket) return done()
      const detail = `${request.routeOptions.url} is not a WebSocket; connect to /ws.`
      return done(new ExecutorError('METHOD_NOT_FOUND', { detail }))
    })
  },
  { name: 'websocket' },
)
