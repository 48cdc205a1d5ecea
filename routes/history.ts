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
        summary: 'How long such a run takes',
        description:
          'The timeout that `timeoutSeconds: "auto"` would stand for, and what it is based on: the history ' +
          'of this token’s own runs, from the closest level that has enough of it. `samples: 0` means that ' +
          'nothing is known.',
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
        summary: 'What was spent, by day, model and token',
        description:
          'Sums over the executions that were accepted on these UTC days and have ended, however they ' +
          'ended: the caller’s own, with the admin scope also of another token, or of all (`token=*`). ' +
          'Dollars are the CLI’s estimate, which means nothing under a subscription.',
        querystring: UsageQuery,
        response: { 200: jsonResponse('The sums.', UsageReport), ...problems(...GUARDED, 'INVALID_REQUEST') },
      },
    },
    async (request) => getUsage(services, request.query, request.caller),
  )
}
