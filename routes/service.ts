import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { getAuthStatus, getQueueState, getReadiness } from '../src/executions/read/queue-state.js'
import { toReadinessForStrangers } from '../src/executions/read/readiness-for-strangers.js'
import { OPERATIONS } from '../src/protocol/operations.js'
import { Health, Readiness } from '../src/protocol/service-state.js'
import type { Setting } from '../src/protocol/settings.js'
import { answerOf, routeOf } from './route-of.js'

export interface ServiceRouteOptions {
  readonly health: () => Health
  /** Looks at Redis' own settings; a sentence where something is wrong with them. */
  readonly checkRedis: () => Promise<string | undefined>
  /** Those in force, as they may be shown. */
  readonly settings: () => Setting[]
}

/** Workers tell of themselves so often. */
const READY_RETRY_SECONDS = 5
const tags = ['service']

/** The queue, health and authentication. */
export async function serviceRoutes(
  fastify: FastifyInstance,
  { health, checkRedis, settings }: ServiceRouteOptions,
): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  for (const path of Object.keys(OPERATIONS['health.get'].rest.paths)) {
    app.route({
      ...routeOf(
        'health.get',
        {
          tags,
          summary: path === '/health' ? 'Whether this process serves' : 'Same as /health, for probes',
          description: 'Requires no token and does not check Redis or the workers; /health/ready does.',
          security: [],
          response: { 200: Health.meta({ description: 'It serves.' }) },
        },
        path,
      ),
      handler: async () => health(),
    })
  }
  app.route({
    ...routeOf('health.ready', {
      tags,
      summary: 'Whether executions can run, part by part',
      description:
        'With a token of the read scope the messages give reasons; without one they reveal nothing about the ' +
        'host.',
      security: [{}, { bearer: [] }],
      response: { 200: Readiness, 503: Readiness },
    }),
    handler: async ({ caller }, reply) => {
      const readiness = await getReadiness(services, checkRedis)
      const shown =
        caller.scopes.has('read') && caller.executionId === undefined ? readiness : toReadinessForStrangers(readiness)
      if (readiness.status === 'ok') return shown
      return reply.code(503).header('retry-after', READY_RETRY_SECONDS).send(shown)
    },
  })
  app.route({
    ...routeOf('queue.get', {
      tags,
      summary: 'Depth, running, workers',
      description:
        'Waiting executions by priority, running ones, each worker with its slots, and credentials whose ' +
        'limit is reached.',
      response: { 200: answerOf('queue.get', 'The queue.') },
    }),
    handler: async () => getQueueState(services),
  })
  app.route({
    ...routeOf('auth.get', {
      tags,
      summary: 'How Claude is authenticated',
      description: 'Per worker: the method, and what to do if there is none. Credentials are not shown.',
      response: { 200: answerOf('auth.get', 'As seen by the workers.') },
    }),
    handler: async () => getAuthStatus(services),
  })
  app.route({
    ...routeOf('config.get', {
      tags,
      summary: 'The settings in force',
      description:
        'Those of the API process that answers, each with its origin; each worker has a separate environment ' +
        '(`cc-executor config` there). Secrets are masked.',
      response: { 200: answerOf('config.get', 'Every setting, in the order of the manual.') },
    }),
    handler: async () => ({ settings: settings() }),
  })
}
