import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { getEstimate } from '../src/executions/submit/estimate-run.js'
import { getUsage } from '../src/executions/read/read-usage.js'
import { answerOf, routeOf } from './route-of.js'

const tags = ['history']

/** What earlier runs took, and what they cost. */
export async function historyRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('estimate.get', {
      tags,
      summary: 'Estimate the duration of a run',
      description:
        'The timeout that `timeoutSeconds: "auto"` would give, and its basis: the history of this token’s ' +
        'runs, from the closest level with enough samples. `samples: 0` means that there is no history.',
      response: { 200: answerOf('estimate.get', 'The estimate.') },
    }),
    handler: async (request) => getEstimate(services, request.query, request.caller),
  })

  app.route({
    ...routeOf('usage.get', {
      tags,
      summary: 'Usage by day, model and token',
      description:
        'Sums over the executions that were accepted on these UTC days and have ended, whatever their ' +
        "outcome: those of the calling token; reading another token's usage, or that of all tokens " +
        '(`token=*`), requires the admin scope. Dollars are the CLI’s estimate, which is not meaningful ' +
        'under a subscription.',
      response: { 200: answerOf('usage.get', 'The sums.') },
    }),
    handler: async (request) => getUsage(services, request.query, request.caller),
  })
}
