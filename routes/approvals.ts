import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { decideApproval } from '../src/executions/control/decide-approval.js'
import { getApproval, listApprovals } from '../src/executions/read/find-approvals.js'
import { answerOf, routeOf } from './route-of.js'

const tags = ['approvals']

/** What runs wait for, and what people decide. */
export async function approvalRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('approval.list', {
      tags,
      summary: 'List approvals, newest first',
      description:
        'Calls, questions and plans of runs with `onPermissionNeeded: "ask"`; by default those that are pending. ' +
        'With the admin scope: of all tokens.',
      response: { 200: answerOf('approval.list', 'A page.') },
    }),
    handler: async (request) => listApprovals(services, request.query, request.caller),
  })

  app.route({
    ...routeOf('approval.get', {
      tags,
      summary: 'One approval',
      description: 'What was asked and, once it is closed, how it was decided, by whom and when.',
      response: { 200: answerOf('approval.get', 'The approval.') },
    }),
    handler: async (request) => getApproval(services, request.params.id, request.caller),
  })

  app.route({
    ...routeOf('approval.decide', {
      tags,
      summary: 'Decide',
      description:
        'The first decision counts. The same decision repeated with the same token returns the same answer; a ' +
        'different one is 409 `APPROVAL_CLOSED`, with the status, who decided and when.',
      response: { 200: answerOf('approval.decide', 'As it is now.') },
    }),
    handler: async (request) => decideApproval(services, request.params.id, request.body, request.caller),
  })
}
