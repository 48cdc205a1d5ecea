import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { getEstimate } from '../src/executions/submit/estimate-run.js'
import { getUsage } from '../src/executions/read/read-usage.js'
import { EstimateQuery, TimeoutEstimate } from '../src/protocol/estimate.js'
import { UsageReport } from '../src/protocol/usage.js'
import { GUARDED, jsonResponse, problems } from './answers.js'
import { UsageQuery } from './queries.js'

const tags = ['history']

/** What earlier runs took, and what they cost. */
export async function historyRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.get(
    '/estimates',
    {
      schema: {
        tags,
        operationId: 'getEstimate',
        summary: 'Estimate the duration of a run',
        description:
          'The timeout that `timeoutSeconds: "auto"` would give, and its basis: the history of this token’s ' +
          'runs, from the closest level with enough samples. `samples: 0` means that there is no history.',
        querystring: EstimateQuery,
        response: { 200: jsonResponse('The estimate.', TimeoutEstimate), ...problems(...GUARDED, 'INVALID_REQUEST') },
      },
    },
    async (request) => getEstimate(services, request.query, request.caller),
  )

  app.get(
    '/usage',
    {
      schema: {
        tags,
        operationId: 'getUsage',
        summary: 'Usage by day, model and token',
        description:
          'Sums over the executions that were accepted on these UTC days and have ended, whatever their ' +
          "outcome: those of the calling token; reading another token's usage, or that of all tokens " +
          '(`token=*`), requires the admin scope. Dollars are the CLI’s estimate, which is not meaningful ' +
          'under a subscription.',
        querystring: UsageQuery,
        response: { 200: jsonResponse('The sums.', UsageReport), ...problems(...GUARDED, 'INVALID_REQUEST') },
      },
    },
    async (request) => getUsage(services, request.query, request.caller),
  )
}
