import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { admitFolder, listAdmissions, withdrawAdmission } from '../src/executions/submit/admit-folder.js'
import { Admission, AdmissionList, AdmissionRequest } from '../src/protocol/admission.js'
import { jsonResponse, problems, WITH_BODY } from './answers.js'

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
        summary: 'Allow runs of this token to work in a folder of this machine',
        description:
          'For `cc-executor run --here`: the caller proves, with a secret in the data folder, that it runs as ' +
          'the user of the service on the same machine; a token alone is not sufficient. Stored in the data ' +
          'folder (`admitted-folders`, one per line) until it is withdrawn. Disabled by ' +
          '`CC_EXECUTOR_ALLOW_HERE=false`.',
        body: AdmissionRequest,
        response: {
          200: jsonResponse('Allowed, now or before.', Admission),
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
        summary: 'The folders of this machine that are allowed for this token',
        description: 'Each with the id by which `DELETE /workspaces/admissions/{id}` withdraws it.',
        response: { 200: jsonResponse('Newest first.', AdmissionList), ...problems('UNAUTHENTICATED', 'FORBIDDEN') },
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
        summary: 'Withdraw an allowed folder',
        description:
          'Runs of this token are no longer accepted for the folder, and queued ones end as `failed / ' +
          'FORBIDDEN` instead of starting; running ones continue to their end.',
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
