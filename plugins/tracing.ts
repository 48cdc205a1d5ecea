import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Tracing } from '../src/telemetry/tracing.js'

/** What a request brings about belongs to the trace that it comes with. */
export const tracingPlugin = plugin(
  async function traces(app: FastifyInstance, { tracing }: { tracing: Tracing }) {
    // After its body was read, which would lose it.
    app.addHook('preHandler', ({ headers, method, routeOptions }, reply, done) => {
      const arrival = {
        name: `${method} ${routeOptions.url}`,
        at: Date.now() - reply.elapsedTime,
        parent: tracing.read(headers),
        attributes: { 'http.request.method': method, 'http.route': routeOptions.url },
      }
      tracing.within(arrival, done)
    })
  },
  { name: 'tracing' },
)
