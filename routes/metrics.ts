import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { readFigures } from '../src/executions/read/read-figures.js'
import { negotiate } from './answers.js'
import { mediaOf, routeOf } from './route-of.js'

/** What Prometheus scrapes. Where metrics are off there is no such path. */
export async function metricsRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app
  const { config } = services
  if (config.metrics === 'off') return
  const route = routeOf('metrics.get', {
    tags: ['service'],
    summary: 'Metrics for Prometheus',
    description:
      'Prometheus text, version 0.0.4: figures of the service as a whole, of this process, and process and ' +
      'event-loop metrics of every process (label `process`). `CC_EXECUTOR_METRICS` says who may read them.',
    response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: z.string() } } } },
  })
  app.route({
    ...route,
    config: { ...route.config, open: config.metrics === 'open' ? true : undefined },
    handler: async (request, reply) => {
      const type = negotiate(request, reply, mediaOf('metrics.get'))
      return reply
        .type(`${type}; version=0.0.4; charset=utf-8`)
        .serializer(String)
        .send(await readFigures(services))
    },
  })
}
