import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { getEstimate } from '../src/executions/estimate-run.js'
import { EstimateQuery, TimeoutEstimate } from '../src/protocol/estimate.js'
import { json, problem, unknown } from './answers.js'

const tags = ['history']

/** What earlier runs took. */
export async function historyRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.get(
    '/estimates',
    {
      schema: {
        tags,
        summary: 'How long such a run takes',
        description: 'The timeout that `timeoutSeconds: "auto"` would stand for, and what it is based on: the history of this token’s own runs, from the closest level that has enough of it. `samples: 0` means that nothing is known.',
        querystring: EstimateQuery,
        response: { 200: json('The estimate.', TimeoutEstimate), 400: problem('A parameter is not valid.'), 401: unknown[401] },
      },
    },
    async (request) => getEstimate(services, request.query, request.caller),
  )
}
