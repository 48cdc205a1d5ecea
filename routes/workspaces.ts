import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { admitFolder, listAdmissions, withdrawAdmission } from '../src/executions/submit/admit-folder.js'
import { Admission, AdmissionList, AdmissionRequest } from '../src/protocol/admission.js'
import { json, problems, WITH_BODY } from './answers.js'

/** Folders of the machine in which runs of a token may work. */
export async function workspaceRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.post(
    '/workspaces/admissions',
    {
      config: { scope: 'execute' },
      schema: {
        tags: ['executions'],
        operationId: 'admitFolder',
        summary: 'Lets runs of this token work in a folder of this machine',
        description:
          'For `cc-executor run --here`: the caller proves, by a secret in the data folder, that he is the user of ' +
          'the service on its machine; a token alone admits nothing. Kept in the data folder (`admitted-folders`, a ' +
          'line each) until it is withdrawn. Switched off by `CC_EXECUTOR_ALLOW_HERE=false`.',
        body: AdmissionRequest,
        response: {
          200: json('Admitted, now or before.', Admission),
          ...problems('UNAUTHENTICATED', 'FORBIDDEN', ...WITH_BODY),
        },
      },
    },
    async (request) => admitFolder(services, request.body, request.caller),
  )

  app.get(
    '/workspaces/admissions',
    {
      config: { scope: 'execute' },
      schema: {
        tags: ['executions'],
        operationId: 'listAdmissions',
        summary: 'The folders of this machine that are admitted for this token',
        description: 'Each with the id by which `DELETE /workspaces/admissions/{id}` withdraws it.',
        response: { 200: json('Newest first.', AdmissionList), ...problems('UNAUTHENTICATED', 'FORBIDDEN') },
      },
    },
    async (request) => listAdmissions(services, request.caller),
  )

  app.delete(
    '/workspaces/admissions/:id',
    {
      config: { scope: 'execute' },
      schema: {
        tags: ['executions'],
        operationId: 'withdrawAdmission',
        summary: 'Withdraws an admission',
        description:
          'Runs of this token are no longer accepted for the folder, and what is queued for it ends as ' +
          '`failed / FORBIDDEN` in place of its start; what runs there goes on to its end.',
        params: z.object({ id: z.string() }),
        response: {
          204: z.null().meta({ description: 'Withdrawn.' }),
          ...problems(
            'UNAUTHENTICATED',
            'FORBIDDEN',
            'WORKSPACE_NOT_FOUND',
            // A body is read, and nothing in it counts.
            'PARSE_ERROR',
            'PAYLOAD_TOO_LARGE',
            'UNSUPPORTED_MEDIA_TYPE',
          ),
        },
      },
    },
    async (request, reply) => {
      await withdrawAdmission(services, request.params.id, request.caller)
      return reply.code(204).send(null)
    },
  )
}
