import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { ExecutorError } from '../src/protocol/errors.js'

/**
 * A WebSocket's path asked for without an upgrade, which is what a proxy leaves of one when it drops the hop-by-hop
 * headers (RFC 9110 7.8): 426, before a token is asked for. A 401 or a 404 would send people to the wrong fault.
 */
export const upgradeRequiredPlugin = plugin(
  async function upgradeRequired(app: FastifyInstance) {
    app.addHook('onRequest', ({ routeOptions, ws }, reply, done) => {
      if (ws || !routeOptions.config.webSocket) return done()
      reply.headers({ upgrade: 'websocket', connection: 'Upgrade' })
      const detail =
        `${routeOptions.url} is a WebSocket, and this request does not ask for one: connect with ws:// or ` +
        'wss://. If you did, a proxy has removed the headers Upgrade and Connection; it must forward them.'
      return done(new ExecutorError('UPGRADE_REQUIRED', { detail }))
    })
  },
  { name: 'upgrade-required', dependencies: ['errors', 'websocket', 'origin'] },
)
