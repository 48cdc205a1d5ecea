import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { admitFolder, listAdmissions, withdrawAdmission } from '../src/executions/submit/admit-folder.js'
import { answerOf, routeOf } from './route-of.js'

/** Folders of the machine in which runs of a token may work. */
export async function workspaceRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('admission.create', {
      tags: ['executions'],
      summary: 'Allow runs of this token to work in a folder of this machine',
      description:
        'For `cc-executor run --here`: the caller proves, with a secret in the data folder, that it runs as ' +
        'the user of the service on the same machine; a token alone is not sufficient. Stored in the data ' +
        'folder (`admitted-folders`, one per line) until it is withdrawn. Disabled by ' +
        '`CC_EXECUTOR_ALLOW_HERE=false`.',
      response: {
        200: answerOf('admission.create', 'Allowed, now or before.'),
      },
    }),
    handler: async (request) => admitFolder(services, request.body, request.caller),
  })

  app.route({
    ...routeOf('admission.list', {
      tags: ['executions'],
      summary: 'The folders of this machine that are allowed for this token',
      description: 'Each with the id by which `DELETE /workspaces/admissions/{id}` withdraws it.',
      response: { 200: answerOf('admission.list', 'Newest first; `nextCursor` is null on the last page.') },
    }),
    handler: async (request) => listAdmissions(services, request.query, request.caller),
  })

  app.route({
    ...routeOf('admission.withdraw', {
      tags: ['executions'],
      summary: 'Withdraw an allowed folder',
      description:
        'Runs of this token are no longer accepted for the folder, and queued ones end as `failed / ' +
        'FORBIDDEN` instead of starting; running ones continue to their end.',
      response: {
        204: z.null().meta({ description: 'Withdrawn.' }),
      },
    }),
    handler: async (request, reply) => {
      await withdrawAdmission(services, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  })
}
