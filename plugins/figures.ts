import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Figures } from '../src/telemetry/figures.js'

/** How long answers take. A stream ends when its reader goes, which says nothing of this service. */
export const figuresPlugin = plugin(
  async function figures(app: FastifyInstance, { figures }: { figures: Figures }) {
    app.addHook('onResponse', ({ is404, method, routeOptions }, reply, done) => {
      if (!isStream(reply.raw.getHeader('content-type')))
        figures.answered(is404 ? undefined : routeOptions.url, method, reply.statusCode, reply.elapsedTime / 1_000)
      done()
    })
  },
  { name: 'figures' },
)

const isStream = (type: unknown): boolean => typeof type === 'string' && type.startsWith('text/event-stream')
